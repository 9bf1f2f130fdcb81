# Every target sets up what it needs; Python 3.11+ with pip is enough.
# Without make: python scripts/dev.py demo
PYTHON ?= python3

.PHONY: demo test coverage lint format docs bench fuzz soak setup

demo test coverage lint format docs bench fuzz soak setup:
	@$(PYTHON) scripts/dev.py $@ $(ARGS)
