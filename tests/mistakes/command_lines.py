"""What is wrong with a command line."""

from __future__ import annotations

import os
import shutil

from roadanomaly.cli.recipes import RECIPES
from tests.mistakes.bench import case

LONG = "x" * 300
BEYOND = str(2**70)
SEED = ("`--seed` is", "from 0 to 2^63 - 1")


@case("the set is unknown", "no data set is called 'smiyc-anomly'", "`smiyc-anomaly`")
def set_unknown(bench):
    return bench.stored("--on", "smiyc-anomly")


@case("a set is named twice", "names a set twice")
def set_twice(bench):
    return bench.stored("--on", "smiyc-anomaly,smiyc-anomaly")


@case("the split is unknown", "`split` of smiyc-anomaly is 'valid'")
def split_unknown(bench):
    return bench.stored("--data.split", "valid")


@case("an option of the set is unknown", "`spilt` is not an option", "`split`")
def data_option_unknown(bench):
    return bench.stored("--data.spilt", "validation")


@case("the mode is unknown", "no mode is called 'oficial'", "`official`")
def mode_unknown(bench):
    return bench.stored("--mode", "oficial")


@case("the track is unknown", "no track is called 'road'")
def track_unknown(bench):
    return bench.stored("--track", "road")


@case("an option is unknown", "`--mod` is not an option", "`--mode`")
def option_unknown(bench):
    return bench.stored("--mod", "exact")


@case("a rate is no share", "--rates 1,5", "between 0 and 1")
def rates_too_large(bench):
    return bench.stored("--rates", "1,5")


@case("a rate is no number", "--rates low", "between 0 and 1")
def rates_no_number(bench):
    return bench.stored("--rates", "low")


@case("there are no workers", "--workers is 0")
def no_workers(bench):
    return bench.stored("--workers", "0")


@case("pictures are less than none", "--pictures is -1")
def pictures_negative(bench):
    return bench.stored("--pictures", "-1")


@case("pictures are no number", "pictures")
def pictures_no_number(bench):
    return bench.stored("--pictures", "many")


@case("maps and a model are named", "--scores takes maps from files")
def maps_and_model(bench):
    return bench.stored(bench.model)


@case("maps and detectors are named", "--detectors energy is put on networks", "leave out one")
def maps_and_detectors(bench):
    return bench.stored("--detectors", "energy")


@case("maps and negatives are named", "--negatives changes the frames", "leave out one")
def maps_and_negatives(bench):
    return bench.stored("--negatives.name", "paste")


@case("a validation set lacks its maps", "--validation_scores DIR")
def validation_without_maps(bench):
    return bench.stored("--validate_on", "smiyc-anomaly")


@case("validation maps lack their set", "belongs to --scores and --validate_on")
def validation_maps_alone(bench):
    return bench.stored("--validation_scores", bench.maps)


@case("the model is neither a folder nor one of the package", "no model at", "with the package")
def model_unknown(bench):
    return bench.evaluate("--root", bench.root, "--model", "defualt")


@case("the detector is unknown", "no detector is called 'enrgy'", "`energy`")
def detector_unknown(bench):
    return bench.modelled("--detectors", "enrgy")


@case("the detector needs training", "`densehybrid` must be prepared first")
def detector_untrained(bench):
    return bench.modelled("--detectors", "densehybrid")


@case("the device is none of this machine", "--device cuda:77: not usable here")
def device_missing(bench):
    return bench.modelled("--device", "cuda:77")


@case("the output is a file", "the folder cannot be written (it is a file)")
def out_is_a_file(bench):
    return bench.stored("--out", bench.map())


@case("the output cannot be made", "--out /dev/null/x: the folder cannot be written")
def out_unwritable(bench):
    return bench.stored("--out", "/dev/null/x")


def each(*words):
    return [str(word) for word in words]


@case("evaluate: the seed has 70 bits", *SEED)
def evaluate_seed(bench):
    return bench.stored("--seed", BEYOND)


@case("predict: the seed has 70 bits", *SEED)
def predict_seed(bench):
    return each("predict", bench.model, bench.track / "images", "--seed", BEYOND)


@case("predict: the seed is negative", *SEED)
def predict_negative_seed(bench):
    return each("predict", bench.model, bench.track / "images", "--seed", "-1")


@case("fit: the seed has 70 bits", *SEED)
def fit_seed(bench):
    return each("fit", "--run", bench.model, "--data.name", "streets", "--seed", BEYOND)


@case("compare: the seed is negative", *SEED)
def compare_seed(bench):
    return each("compare", bench.out, "--seed", "-3")


@case("flow sample: the seed has 70 bits", *SEED)
def flow_seed(bench):
    return each("flow", "sample", bench.model, "--seed", BEYOND)


@case("demo: the seed has 70 bits", *SEED)
def demo_seed(bench):
    return each("demo", "--seed", BEYOND)


@case("a set's name has 300 letters", "no data set is called")
def long_set(bench):
    return bench.stored("--on", LONG)


@case("the root's name has 300 letters", LONG)
def long_root(bench):
    return bench.evaluate("--scores", bench.maps, "--root", LONG)


@case("the maps' folder has 300 letters", LONG)
def long_maps(bench):
    return bench.evaluate("--scores", LONG, "--root", bench.root)


@case("the model's folder has 300 letters", LONG)
def long_model(bench):
    return bench.evaluate(LONG, "--root", bench.root)


@case("the weights' name has 300 letters", "no weight file", LONG)
def long_weights(bench):
    words = ("--segmenter.name", "espnetv2", "--segmenter.weights", LONG)
    return bench.evaluate(*words, "--root", bench.root)


@case("the weights' name is a pattern", "no weight file '***'")
def weights_pattern(bench):
    words = ("--segmenter.name", "espnetv2", "--segmenter.weights", "***")
    return bench.evaluate(*words, "--root", bench.root)


@case("evaluate: the output's name has 300 letters", f"--out {LONG}: the folder cannot be written")
def long_out(bench):
    return bench.stored("--out", LONG)


@case("predict: an image's name has 300 letters", LONG)
def long_image(bench):
    return each("predict", bench.model, LONG)


@case("predict: the output's name has 300 letters", LONG)
def long_prediction(bench):
    return each("predict", bench.model, bench.track / "images", "--out", LONG)


@case("train: the config's name has 300 letters", LONG)
def long_config(bench):
    return each("train", LONG)


@case("compare: a run's name has 300 letters", LONG)
def long_run(bench):
    return each("compare", bench.out, LONG)


@case("compare: the page's name has 300 letters", LONG)
def long_page(bench):
    again = bench.out.with_name("again")
    shutil.copytree(bench.out, again)
    return each("compare", bench.out, again, "--resamples", "1", "--out", LONG)


@case("the command's name has 300 letters", "no command is called")
def long_command(bench):
    return [LONG]


@case("evaluate: more threads than a system bears", "--threads is 100000; give at most 1024")
def many_threads(bench):
    return bench.stored("--threads", "100000")


@case("evaluate: more processes than a system bears", "--workers is 100000; give at most 1024")
def many_workers(bench):
    return bench.stored("--workers", "100000")


@case("evaluate: the size has 70 bits", "`--size` is", "within 64 bits")
def large_size(bench):
    return bench.stored("--size", f"[{BEYOND},{BEYOND}]")


@case("evaluate: an option of the set has 70 bits", "`--data`, `height`, is", "within 64 bits")
def large_height(bench):
    return bench.stored("--on", "streets", "--data.height", BEYOND)


DRAWN = ("--segmenter.name", "espnetv2", "--on", "streets")


@case("evaluate: the size fills the memory", "100000x100000 pixels are too many", "30.0 GB")
def huge_size(bench):
    return bench.stored("--size", "[100000,100000]")


@case("evaluate: streets of the height of a city", "`height` of streets is 1000000", "32 to 8192")
def huge_streets(bench):
    return each("evaluate", *DRAWN, "--data.height", "1000000", "--out", bench.out)


@case("evaluate: more streets than were ever drawn", "`count` of streets is 10000000000")
def countless_streets(bench):
    return each("evaluate", *DRAWN, "--data.count", "10000000000", "--out", bench.out)


@case("fit: an option of the detector has 70 bits", "`temperature`, is", "within 64 bits")
def large_temperature(bench):
    network = ("--segmenter.name", "espnetv2", "--data.name", "streets", "--out", bench.out)
    return each("fit", *network, "--detector.name", "energy", "--detector.temperature", BEYOND)


@case("train: the batch has 70 bits", "`--batch_size` is", "within 64 bits")
def large_batch(bench):
    return each("train", RECIPES / "streets_segmenter.yaml", "--batch_size", BEYOND)


@case("predict: the smallest area is negative", "`--min_area` is -5", "0 or more")
def negative_area(bench):
    return each("predict", bench.model, bench.track / "images", "--min_area", "-5")


@case("video: the smallest area is negative", "`--min_area` is -5", "0 or more")
def negative_area_of_video(bench):
    return each("video", bench.model, bench.track / "images", "--min_area", "-5")


@case("data check: a negative number of frames", "`--limit` is -1", "1 or more")
def negative_limit(bench):
    return each("data", "check", "streets", "--limit", "-1")


@case("predict: an image is a pipe", "is a pipe, and may never end", "write the image to a file")
def pipe(bench):
    os.mkfifo(bench.root / "photo.png")
    return each("predict", bench.model, bench.root / "photo.png")


@case("export submission: the smallest area is negative", "`--min_area` is -5", "0 or more")
def negative_area_of_submission(bench):
    words = ["--for", "oodis", "--root", bench.root, "--out", bench.out, "--min_area", "-5"]
    return each("export", "submission", bench.model, *words)


@case("export model: no frame is compared", "`--limit` is 0", "1 or more")
def no_frame_compared(bench):
    words = ["--to", "onnx", "--size", "64x96", "--out", bench.root / "graph", "--limit", "0"]
    return each("export", "model", bench.model, *words)


@case("export model: the size has 70 bits", "sides of at least 32 pixels", "at most 32768")
def large_size_of_export(bench):
    words = ["--to", "onnx", "--out", bench.root / "graph", "--size", f"{BEYOND}x{BEYOND}"]
    return each("export", "model", bench.model, *words)
