"""The pictures of a run: find missing ones, and draw them."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from sg2bench.catalog import METRICS
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.files import add_digest, atomic_file, is_intact
from sg2bench.layout import EXAMPLES, NEIGHBOURS, ema_file, pictures_of, sample_file
from sg2bench.models.networks import Networks
from sg2bench.runs.job import Job
from sg2bench.samples.examples import examples
from sg2bench.samples.grids import grid
from sg2bench.samples.neighbours import neighbours


def lacks_any(job: Job) -> bool:
    """Return whether a picture is missing or damaged that the run's networks, if still present, could draw again."""
    evaluate = job.experiment.evaluate
    wanted = set(pictures_of(evaluate.modes))
    if not any(METRICS[metric].measure == "copies" for metric in evaluate.metrics):
        wanted.remove(NEIGHBOURS)
    names = (sample_file(picture).as_posix() for picture in wanted)
    whole = all(is_intact(job.folder, name, config_hash=job.config_hash) for name in names)
    return not whole and is_intact(job.folder, ema_file(job.steps), config_hash=job.config_hash)


def draw(job: Job, nets: Networks, evaluator: Evaluator) -> None:
    """Draw all pictures of a run into its folder, and note their digests."""
    for picture, image in _drawn(job, nets, evaluator):
        with atomic_file(job.folder / sample_file(picture)) as temporary:
            image.save(temporary, format="png")
        add_digest(job.folder, sample_file(picture).as_posix(), config_hash=job.config_hash)


def _drawn(job: Job, nets: Networks, evaluator: Evaluator) -> Iterator[tuple[str, Image.Image]]:
    images, size, modes = evaluator.images, evaluator.image_size, job.experiment.evaluate.modes
    for mode in modes:
        yield mode, grid(nets, images, mode, size)
    if "reference" in modes:
        yield EXAMPLES, examples(nets, images, size)
    if (nearest := neighbours(nets, evaluator)) is not None:
        yield NEIGHBOURS, nearest
