"""The workflows that the end-to-end suite deploys: graphs, steps that go wrong, and steps that wait for a test."""
