"""Names, places and spherical splines, held against MNE's own."""

import mne
import numpy as np
import pytest

from core.montage import (
    MONTAGES,
    is_eeg_name,
    map_channels,
    normalise_name,
    spherical_splines,
    standard_positions,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("FP1", "Fp1"),
        ("EEG Fp1-REF", "Fp1"),
        ("EEG FPZ-LE", "Fpz"),
        ("EEG.AF3", "AF3"),
        ("T3", "T7"),
        ("EEG T6-A2", "P8"),
        ("Oz..", "Oz"),
        ("poz", "POz"),
        ("EEG F1-Ref-0", "F1"),
        ("RAW_TP9", "TP9"),
        ("POL O1", "O1"),
        ("A1", "A1"),
        ("M2", "M2"),
        (" COUNTER ", "COUNTER"),
        ("Fp1-F7", "Fp1-F7"),
        ("EEG Fpz-Cz", "EEG Fpz-Cz"),
        ("Ch1 Fp1", "Fp1"),
        ("CH01_fp2", "Fp2"),
        ("channel 3: cz", "Cz"),
        ("12-O1", "O1"),
        ("EEGFp1", "Fp1"),
        ("EEG POL T5", "P7"),
        ("Fp1 (uV)", "Fp1"),
        ("AF3[µV]", "AF3"),
        ("Fp1_EEG", "Fp1"),
        ("C3-A1A2", "C3"),
        ("C3-(M1+M2)", "C3"),
        ("'Pz'", "Pz"),
        ("[Pz]", "Pz"),
        ("EEG 1", "EEG 1"),
        ("EXG Channel 0", "EXG Channel 0"),
        ("EEG", "EEG"),
        ("1", "1"),
        ("E12", "E12"),
        ("CQ_AF3", "CQ_AF3"),
        ("EMG-C3", "EMG-C3"),
    ],
)
def test_names_come_to_their_10_05_spelling(given: str, expected: str) -> None:
    assert normalise_name(given) == expected


def test_bookkeeping_is_not_an_eeg_name() -> None:
    assert not any(map(is_eeg_name, ["COUNTER", "CQ_AF3", "TIME_STAMP_s", "EOG1", "Right AUX", "", "Fp1-F7"]))
    assert all(map(is_eeg_name, ["T5", "EEG Cz-REF", "AFF1h"]))


@pytest.mark.parametrize("name", sorted(MONTAGES))
def test_every_montage_has_known_distinct_places(name: str) -> None:
    names = MONTAGES[name]
    positions = standard_positions(names)
    assert len(set(names)) == len(names)
    assert positions.shape == (len(names), 3)
    assert np.isfinite(positions).all()
    radii = np.linalg.norm(positions, axis=1)
    assert ((radii > 0.05) & (radii < 0.2)).all()
    assert tuple(map(normalise_name, names)) == names


def test_montages_have_the_channels_their_names_say() -> None:
    assert {name: len(names) for name, names in MONTAGES.items() if name.rsplit("-", 1)[1].isdigit()} == {
        name: int(name.rsplit("-", 1)[1]) for name in MONTAGES
    }


def test_standard_positions_are_nan_where_unknown() -> None:
    assert np.isnan(standard_positions(["nowhere"])).all()
    assert standard_positions([]).shape == (0, 3)
    np.testing.assert_array_equal(standard_positions(["T3"]), standard_positions(["T7"]))


def test_splines_match_mne() -> None:
    names = list(MONTAGES["10-20-32"])
    bads = ["Cz", "P7", "FC1"]
    info = mne.create_info(names, 100.0, "eeg")
    rng = np.random.default_rng(0)
    data = rng.standard_normal((32, 200)) * 1e-5
    raw = mne.io.RawArray(data.copy(), info, verbose="ERROR")
    positions = standard_positions(names)
    montage = mne.channels.make_dig_montage(dict(zip(names, positions, strict=True)), coord_frame="head")
    raw.set_montage(montage, verbose="ERROR")
    raw.info["bads"] = bads
    origin = (0.0, 0.0, 0.04)
    theirs = raw.interpolate_bads(origin=origin, verbose="ERROR").get_data(picks=bads)

    good = [name for name in names if name not in bads]
    matrix = spherical_splines(standard_positions(good), standard_positions(bads), origin=origin)
    ours = matrix @ data[[names.index(name) for name in good]]
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_splines_keep_a_constant_and_a_smooth_field() -> None:
    names = MONTAGES["things-63"]
    places = standard_positions(names)
    matrix = spherical_splines(places[:-3], places[-3:], origin=places.mean(axis=0))
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-3)


def test_matched_channels_are_copied_in_the_targets_order() -> None:
    mapped = map_channels(["EEG FP1-REF", "T3", "Oz", "EXTRA"], ["Oz", "T7", "Fp1"])
    np.testing.assert_array_equal(mapped.matrix, [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]])
    assert mapped.matrix.dtype == np.float32
    assert (mapped.matched, mapped.interpolated, mapped.unused) == (("Oz", "T7", "Fp1"), (), ("EXTRA",))


def test_missing_channels_are_interpolated_from_all_placed_channels() -> None:
    epoc = MONTAGES["epoc-14"]
    source = [name for name in MONTAGES["10-20-32"] if name not in epoc]
    source += [name for name in epoc if name != "O1"] + ["EXTRA"]
    mapped = map_channels(source, epoc)
    assert mapped.interpolated == ("O1",)
    assert mapped.unused == ("EXTRA",)
    row = mapped.matrix[epoc.index("O1")]
    assert abs(row.sum() - 1.0) < 1e-3
    # channels outside the target serve too, and the neighbours weigh most
    assert np.argmax(np.abs(row)) in (source.index("Oz"), source.index("P7"))
    assert row[source.index("EXTRA")] == 0.0


def test_two_names_of_one_place_do_not_break_interpolation() -> None:
    epoc = MONTAGES["epoc-14"]
    source = [name for name in epoc if name != "O1"] + ["T3", "Pz", "Oz"]
    mapped = map_channels(source, epoc)
    assert np.abs(mapped.matrix).max() < 2.0
    assert "T3" in mapped.unused


def test_63_channels_from_4_is_an_error_that_lists_both() -> None:
    with pytest.raises(ValueError, match="4 of the 63 channels") as caught:
        map_channels(MONTAGES["muse-4"], MONTAGES["things-63"])
    assert "TP9, AF7, AF8, TP10" in str(caught.value)
    assert "POz" in str(caught.value)


def test_missing_channel_without_a_place_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="E7 cannot be interpolated"):
        map_channels(["Cz", "Pz"], ["Cz", "Pz", "E7"])
    place = standard_positions(["CPz"])
    positions = np.vstack([np.full((2, 3), np.nan), place])
    mapped = map_channels(["Cz", "Pz"], ["Cz", "Pz", "E7"], target_positions=positions)
    assert mapped.interpolated == ("E7",)


def test_places_in_the_recording_serve_names_outside_the_system() -> None:
    positions = np.vstack([np.full((1, 3), np.nan), standard_positions(["CP1", "CP2"])])
    mapped = map_channels(["Cz", "E1", "E2"], ["Cz", "CPz"], positions)
    assert mapped.unused == ()
    assert mapped.matrix[1, 1:].min() > 0.2


def test_a_mapping_is_made_once() -> None:
    source, target = MONTAGES["10-20-32"], MONTAGES["epoc-14"]
    assert map_channels(source, target) is map_channels(source, target)
