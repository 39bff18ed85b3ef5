"""How the embedded checkpoint is made: data, tokenizer, VAE, text encoders, ControlNet, UNet, export, evaluation."""
