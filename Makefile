# make demo   set everything up, train a style, paint photographs with it, compare it with the optimiser
# make test   set everything up, run all tests
# make check  lint, format and types
# make test-oldest  run the quick tests with the oldest versions that pyproject.toml allows, in an environment outside the project
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
OLDEST ?= $(or $(TMPDIR),/tmp)/impasto-oldest
PHOTOGRAPHS = $(shell $(BIN)/python -c 'import skimage, pathlib; print(pathlib.Path(skimage.__file__).parent / "data")')
SAMPLES = $(addprefix $(PHOTOGRAPHS)/,astronaut.png chelsea.png coffee.png)

.PHONY: demo test test-oldest check clean

$(INSTALLED): pyproject.toml
	@echo "Installing into .venv, some minutes; 7 GB on Linux, where torch brings CUDA along"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/impasto sample-style oils --size 512 -o demo
	$(BIN)/impasto train demo/oils.png data=demo paths.run=demo/run
	$(BIN)/impasto stylize $(SAMPLES) -s demo/oils.safetensors -o demo
	$(BIN)/impasto stylize $(SAMPLES) -s starry_night -o demo
	$(BIN)/impasto compare $(PHOTOGRAPHS)/astronaut.png $(PHOTOGRAPHS)/coffee.png -s demo/oils.safetensors -o demo/comparison --steps 50 --limit 1 --no-polish --precision auto
	@echo "The style: demo/oils.png. The painter: demo/oils.safetensors. The paintings: demo/*.oils.png"
	@echo "Two minutes make a sketch of a painter; what longer training makes of the same photographs: demo/*.starry_night.png"

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test-oldest:
	$(PYTHON) -m venv $(OLDEST)
	$(PYTHON) scripts/release/oldest_versions.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(OLDEST)/constraints.txt --editable '.[dev]'
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -m "not slow" -W ignore::DeprecationWarning -n auto --dist worksteal

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

clean:
	rm -rf .venv demo
