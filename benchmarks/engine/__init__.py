"""What the denoising engine costs and gains, with the embedded checkpoint: `make bench-engine`, a file a part."""
