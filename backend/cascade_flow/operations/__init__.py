"""The use cases: load what is known → decide → commit in one conditional request → tell who must know."""
