# make demo    from nothing to pictures in out/demo: set-up, server, one request, stop
# make ray-demo  two replicas on Ray Serve on this machine; one is killed amid its work
# make test    the tests, without slow ones and those that need other programs; make test-all runs those, too (workers=4 on four cores)
# make audit   are the pinned packages safe?
# make check   format, lint, types, import rules (CHECK=fix to mend what can be mended)
# make serve   the service on port 8600; settings as in: make serve ARGS="api.port=8700"
# make embedded  train the embedded checkpoint: make embedded minutes=90 device=cpu
# make gallery   draw the pictures of the README, the docs and the studio's styles again
# make eval-embedded  measure the embedded checkpoint, an hour: make eval-embedded ARGS="what=legibility"
# make bench-embedded  seconds a picture, against diffusers' own pipeline
# make bench-engine  what the denoising engine costs and gains; a part of it: make bench-engine ARGS="what=cost,memory"
# make bench-conditioning  milliseconds for the four control images, at once and one by one
# make bench-legibility  are words read? 100 in 20 scripts, an hour: make bench-legibility ARGS="words=20"
# make bench-encoding  milliseconds and bytes of pictures as files, against Pillow's defaults
# make bench-gpu  the full SDXL on a CUDA card, against diffusers' pipeline and the card's own rate
# make bench-load  made-up requests, then twice what can be drawn for two minutes: ARGS="what=overload seconds=20"
# make bench-memory  the figures behind the GPU profiles, counted without a GPU
# make bench-meaning  is the subject recognised, also of translations without a pictogram: ARGS="concepts=100"
# make bench-ray   what Ray costs and keeps: a part of it, ARGS="what=deaths,update seconds=60"
# make bench-strokes  how well the stroke data lies on the drawn characters, all 16,000 of them
# make clean   remove what the other targets made (the training state stays)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Where pip finds only torch with CUDA (2 GB and more), this fetches the CPU build instead:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

RUNTIME := $(VENV)/runtime.stamp
DEV := $(VENV)/dev.stamp
RAY := $(VENV)/ray.stamp

.PHONY: demo ray-demo test test-all test-rest test-ray audit check serve embedded gallery eval-embedded bench-conditioning bench-embedded bench-encoding bench-engine bench-gpu bench-legibility bench-load bench-meaning bench-memory bench-ray bench-strokes clean
.DELETE_ON_ERROR:

demo: $(RUNTIME)
	$(BIN)/python scripts/demo.py

ray-demo: $(RAY)
	$(BIN)/python -m scripts.ray_demo

# A module's tests stay together, so that what it has loaded is loaded once.
workers ?= 2
PYTEST = $(BIN)/python -m pytest -n $(workers) --dist loadscope

test: $(DEV)
	$(PYTEST) -m "not slow and not services"

test-all: test test-rest

# What `make test` leaves out.
test-rest: $(RAY)
	$(PYTEST) -m "slow or services"

# Of Ray alone; one after the other, for each starts a cluster.
test-ray: $(RAY)
	$(BIN)/python -m pytest tests/ray

# Types want everything that is imported to be there.
check: $(RAY)
	scripts/check $(CHECK)

audit: $(DEV)
	$(PIP) install -c constraints.txt -e ".[audit]"
	$(BIN)/python scripts/audit

serve: $(RUNTIME)
	$(BIN)/writing-service serve $(ARGS)

minutes ?= 90
device ?= cpu
embedded: $(RUNTIME)
	$(BIN)/python -m training minutes=$(minutes) device=$(device) $(ARGS)

gallery: $(RUNTIME)
	$(BIN)/python scripts/conditioning_gallery.py
	$(BIN)/python scripts/gallery.py

# Needs Debian's tesseract-ocr with chi-sim, jpn, kor, rus, deu, ell, ara, heb, hin and tha.
# Figures in out/evaluation, pictures in docs/evaluation; what was measured before is not measured again.
eval-embedded: $(DEV)
	$(BIN)/python -m training.evaluation gallery=docs/evaluation $(ARGS)

bench-embedded: $(RUNTIME)
	$(BIN)/python -m benchmarks.embedded

bench-engine: $(DEV)
	$(BIN)/python -m benchmarks.engine $(ARGS)

bench-conditioning: $(RUNTIME)
	$(BIN)/python -m benchmarks.conditioning

bench-encoding: $(RUNTIME)
	$(BIN)/python -m benchmarks.encoding

bench-gpu: $(RUNTIME)
	$(BIN)/python -m benchmarks.gpu $(ARGS)

bench-memory: $(RUNTIME)
	$(BIN)/python -m benchmarks.memory

# Needs tesseract with the languages that benchmarks/legibility/words.py names. Records in out/legibility, tables and
# plot in docs; what was measured before is not measured again.
bench-legibility: $(DEV)
	$(BIN)/python -m benchmarks.legibility $(ARGS)

bench-load: $(DEV)
	$(BIN)/python -m benchmarks.load $(ARGS)

bench-meaning: $(DEV)
	$(BIN)/python -m benchmarks.meaning $(ARGS)

bench-ray: $(RAY)
	$(BIN)/python -m benchmarks.ray $(ARGS)

bench-strokes: $(RUNTIME)
	$(BIN)/python -m benchmarks.strokes

clean:
	rm -rf $(VENV) build dist out logs .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# Stamps, so that a second run installs nothing until the requirements change.
# torch goes first and by its exact version alone: so pip takes a CPU build (2.13.0+cpu) where one
# is at hand, before any other package can ask for torch and get the one with CUDA.
$(RUNTIME): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing packages (a minute or two, once) ..."
	$(PIP) install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt torch==2.13.0
	$(PIP) install -c constraints.txt httpx -e .
	@touch $@

$(DEV): $(RUNTIME)
	@echo "Installing development tools ..."
	$(PIP) install -c constraints.txt -e ".[dev,evaluation,tracing]"
	@touch $@

$(RAY): $(DEV)
	@echo "Installing Ray ..."
	$(PIP) install -c constraints.txt -e ".[ray]"
	@touch $@
