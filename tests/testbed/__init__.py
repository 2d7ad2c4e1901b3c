"""The testbed: DynamoDB servers, a meter of requests and units, a fault injector, a scheduler of interleavings, races.

It exists so that every suite breaks and measures the product in the same way. Nothing of the product may be defined
here, and nothing here may import the product: what it needs (creating the table) is handed in.
"""
