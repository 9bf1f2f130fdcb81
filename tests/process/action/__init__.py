"""The action, run by a model of GitHub's runner."""
