"""From nothing to a checkpoint: `python -m training [minutes=90] [device=cpu] [samples=4000] ...`.

Each stage saves its state in `folder` and goes on from there when the command is given again; with more
`minutes` a finished stage trains further.
"""

import logging
import os
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from training import processes
from training.art import STYLES
from training.captions import caption_corpus
from training.control import train_control_embedding
from training.diffusion import Networks, Serving, connect, train_diffusion
from training.encoded import EncodedPool
from training.export import export
from training.models import encode_text
from training.narrowing import take_over
from training.pool import SamplePool, fill, open_pool, save_index, wait_for
from training.samples import FEW_LOOKS, KINDS, SampleMaker
from training.text import tokenize, train_text
from training.tokenizer import load_tokenizer, train_tokenizer
from training.vae import normalise_latents, train_decoder, train_vae
from writing_service.config import load_settings
from writing_service.types import Size

logger = logging.getLogger("training")

SHARES = {"vae": 0.28, "text": 0.02, "control": 0.03, "diffusion": 0.62, "decoder": 0.05}
"""How the minutes are spent."""

SIZES = {
    Size(512, 512): (0.74, 0.58),
    Size(256, 256): (0.10, 0.10),
    Size(512, 1024): (0.05, 0.08),
    Size(1024, 512): (0.05, 0.08),
    Size(768, 768): (0.03, 0.08),
    Size(1024, 1024): (0.03, 0.08),
}
"""Share of the samples, share of the batches."""

Parts = tuple[CLIPTokenizer, AutoencoderKL, Networks]


@dataclass(frozen=True)
class Plan:
    """What the command line may set."""

    minutes: float = 90.0
    device: str = "cpu"
    samples: int = 4000
    workers: int = os.cpu_count() or 1
    batch: int = 24
    """Of the diffusion, in crops' areas; whole pictures of 512² count four."""
    crops: int = 8
    """A batch of the VAE's; the conditioning embedding takes as many pictures, the text encoders eight times as many
    captions."""
    cropped: float = 0.38
    """Share of the diffusion's time, at its beginning, that trains on crops."""
    renew: bool = True
    """On a GPU: let new samples take the places of old ones while it trains."""
    seed: int = 0
    few_looks: float = 0.35
    """Share of the diffusion's time, at its end, that keeps to two looks a style; 0 for a long training."""
    decoder: float = SHARES["decoder"]
    """Share of the minutes, after all else, for the VAE's decoder alone."""
    folder: Path = Path("training/work")
    output: Path = Path("writing_service/embedded/checkpoint")
    start: Path = Path()
    """A checkpoint to train further, instead of nothing."""


_READ = {bool: lambda text: text.casefold() in ("true", "1", "yes"), type(Path()): Path}
"""How values are read whose type does not do it alone."""


def parse(arguments: list[str]) -> Plan:
    """`key=value` each; raises SystemExit with the known keys on any other."""
    plan = Plan()
    types: dict[str, Any] = {field.name: type(getattr(plan, field.name)) for field in fields(Plan)}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in types:
            raise SystemExit(
                f"Unknown setting '{argument}'; known: {', '.join(f'{k}=' for k in types)}"
            )
        plan = replace(
            plan,
            **{key: _READ.get(types[key], types[key])(value)},
        )
    return plan


def main(plan: Plan) -> None:
    """Train on every GPU that there is, or on the CPU."""
    gpus = torch.cuda.device_count() if plan.device == "cuda" else 1
    processes.start(run, gpus, replace(plan, workers=max(1, plan.workers // gpus)))


def run(plan: Plan) -> None:
    """All stages in order."""
    device = torch.device(plan.device)
    settle(device.type == "cpu")
    seed = plan.seed + 1000 * processes.number()
    pool = draw_samples(plan, device, "pool", plan.samples, SampleMaker(seed))
    fresh = plan.start == Path()
    tokenizer, vae, networks = (begin if fresh else take_up)(plan, pool, device)
    minutes = plan.minutes * (SHARES["diffusion"] if fresh else 1.0)

    serving = serving_conditions(tokenizer)

    def train(samples: SamplePool, until: float) -> Networks:
        embedding = networks.controlnet.controlnet_cond_embedding.to(device).requires_grad_(False)
        file = plan.folder / f"encoded-{samples.name}.pt" if device.type == "cpu" else None
        store = EncodedPool(samples, vae.to(device), embedding, tokenizer, device, file)
        return train_diffusion(
            store,
            networks,
            plan.folder,
            minutes,
            device,
            plan.batch,
            plan.cropped,
            serving,
            until,
        )

    trained = train(pool, 1 - plan.few_looks)
    if plan.few_looks:
        maker = SampleMaker(seed + 1, FEW_LOOKS)
        trained = train(draw_samples(plan, device, "few-looks", plan.samples // 3, maker), 1.0)
    pool.close()
    finished = train_decoder(
        vae, pool, plan.folder, plan.minutes * plan.decoder, device, plan.crops
    )
    if processes.number() == 0:
        size = export(plan.output, finished, tokenizer, trained)
        logger.info("%s: %.1f MiB", plan.output, size / 2**20)


def draw_samples(
    plan: Plan, device: torch.device, name: str, samples: int, maker: SampleMaker
) -> SamplePool:
    """A pool that fills, and is renewed, while training goes on; on a CPU, where both would want the same
    cores, it is filled before."""
    places = {
        size: (max(16, int(samples * share)), often) for size, (share, often) in SIZES.items()
    }
    data = plan.folder / name if device.type == "cpu" else None
    pool = open_pool(name, places, device, data)
    filling = fill(pool, plan.workers, maker, endless=data is None and plan.renew)
    if data:
        filling.join()
        save_index(pool, data)
    wait_for(pool, 512)
    return pool


def begin(plan: Plan, pool: SamplePool, device: torch.device) -> Parts:
    """The stages before the diffusion, from nothing. A finished VAE stays as it is: all else depends on its latents."""
    tokenizer = prepare_tokenizer(plan.folder)
    minutes = {stage: share * plan.minutes for stage, share in SHARES.items()}
    vae = finish_vae(plan, pool, device, minutes["vae"])
    encoders = train_text(pool, tokenizer, plan.folder, minutes["text"], device, 8 * plan.crops)
    controlnet = train_control_embedding(pool, plan.folder, minutes["control"], device, plan.crops)
    return (
        tokenizer,
        vae,
        Networks(connect(controlnet), encoders),
    )


def finish_vae(plan: Plan, pool: SamplePool, device: torch.device, minutes: float) -> AutoencoderKL:
    """The finished one in the folder, which may be another checkpoint's, or a new one."""
    finished = plan.folder / "vae"
    if finished.exists():
        return AutoencoderKL.from_pretrained(finished, torch_dtype=torch.float32)
    vae = train_vae(pool, plan.folder, minutes, device, batch=plan.crops)
    normalise_latents(vae, pool, device)
    if processes.number() == 0:
        vae.save_pretrained(finished)
    return vae


def take_up(plan: Plan, pool: SamplePool, device: torch.device) -> Parts:
    """The networks of an exported checkpoint."""
    start = plan.start
    encoders = (
        CLIPTextModel.from_pretrained(start / "text_encoder", dtype=torch.float32),
        CLIPTextModelWithProjection.from_pretrained(start / "text_encoder_2", dtype=torch.float32),
    )
    controlnet = ControlNetModel.from_pretrained(start / "controlnet", torch_dtype=torch.float32)
    networks = Networks(controlnet, nn.ModuleList(encoders))
    saved = UNet2DConditionModel.from_pretrained(start / "unet", torch_dtype=torch.float32)
    tokenizer = load_tokenizer(start / "tokenizer")
    with torch.no_grad():
        texts = [pair[0] for pair in pool.buckets[0].captions[: pool.buckets[0].count][:2000]]
        pooled = encode_text(encoders, tokenize(tokenizer, texts))[1]
    take_over(networks.unet, saved, pooled)
    # Each process has learnt from the texts of its own samples.
    for parameter in networks.parameters():
        processes.of_first(parameter.data)
    vae = AutoencoderKL.from_pretrained(start / "vae", torch_dtype=torch.float32)
    return tokenizer, vae, networks


def settle(on_cpu: bool) -> None:
    """Threads and numeric modes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    if on_cpu:
        torch.set_num_threads(os.cpu_count() or 1)
        return
    cv2.setNumThreads(1)
    torch.set_num_threads(2)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True


def prepare_tokenizer(folder: Path) -> CLIPTokenizer:
    """The saved one, or a new one from captions of every concept and style; the first process makes it for all."""
    saved = folder / "tokenizer"
    if processes.number() == 0 and not saved.exists():
        train_tokenizer(caption_corpus()).save_pretrained(saved)
    processes.await_first()
    return load_tokenizer(saved)


def serving_conditions(tokenizer: CLIPTokenizer) -> Serving:
    """From the service's own settings."""
    styles = load_settings().ai_generation.styles
    weights = [[styles[name].controlnet_weights[kind] for kind in KINDS] for name in STYLES]
    negatives = tokenize(tokenizer, [styles[name].negative_prompt for name in STYLES])
    return Serving(np.array(weights), negatives)


if __name__ == "__main__":
    # By its name, under which other processes find it too.
    from training import __main__ as command

    command.main(command.parse(sys.argv[1:]))
