"""The workflows that chaos is made around: each shape of a run, of steps that sign what they give."""
