"""What is wrong with a command line."""

from __future__ import annotations

from tests.mistakes.bench import case


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


@case("a validation set lacks its maps", "--validation_scores DIR")
def validation_without_maps(bench):
    return bench.stored("--validate_on", "smiyc-anomaly")


@case("validation maps lack their set", "belongs to --scores and --validate_on")
def validation_maps_alone(bench):
    return bench.stored("--validation_scores", bench.maps)


@case("neither maps nor a model are named", "name a run folder")
def nothing_to_score(bench):
    return bench.evaluate("--root", bench.root)


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
