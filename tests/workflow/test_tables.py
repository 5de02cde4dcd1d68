"""Users' tables: what works, and the one line for what does not."""

import dataclasses

import numpy as np
import pytest

from datasets import DatasetError
from memristive.cli.tables import load_table

ROWS = [("1.5", "2", "yes"), ("2.5", "3", "no"), ("3.5", "4", "yes"), ("4.5", "5", "no")]


def written(folder, separator=",", header=("a", "b", "class"), rows=ROWS, encoding="utf-8"):
    path = folder / "table.csv"
    path.write_text("\n".join(separator.join(row) for row in ([header] if header else []) + list(rows)) + "\n", encoding=encoding)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [("a", "b", "class"), None])
def test_separator_and_header_are_found_out(tmp_path, separator, header):
    table = load_table(str(written(tmp_path, separator, header)))
    assert table.features.tolist() == [[1.5, 2], [2.5, 3], [3.5, 4], [4.5, 5]]
    assert table.labels.tolist() == ["yes", "no", "yes", "no"]
    assert table.names == (["a", "b"] if header else ["column 1", "column 2"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_encoding_is_found_out(tmp_path, encoding):
    more = "größer" if encoding == "latin-1" else "größer als 1 €"
    rows = [(*row[:2], more if row[2] == "yes" else "kleiner") for row in ROWS]
    table = load_table(str(written(tmp_path, rows=rows, encoding=encoding)))
    assert table.classes == [more, "kleiner"] and table.names == ["a", "b"]


def test_decimal_commas_between_semicolons_are_numbers(tmp_path):
    rows = [(row[0].replace(".", ","), *row[1:]) for row in ROWS]
    assert load_table(str(written(tmp_path, ";", rows=rows))).features[:, 0].tolist() == [1.5, 2.5, 3.5, 4.5]
    dotted = written(tmp_path, ";", ("Sepal.Length", "b", "class"), [(*row[:2], f"v. {row[2]}") for row in rows])
    assert load_table(str(dotted)).features[:, 0].tolist() == [1.5, 2.5, 3.5, 4.5]
    assert load_table(str(written(tmp_path, ";", rows=ROWS))).features[:, 0].tolist() == [1.5, 2.5, 3.5, 4.5]
    assert load_table(str(written(tmp_path, "\t", rows=rows))).features[:, 0].tolist() == [1.5, 2.5, 3.5, 4.5]


@pytest.mark.parametrize("classes", [("1.0", "2.0"), ("01.02.2024", "02.02.2024"), ("1,0", "2,0")])
def test_a_class_may_have_a_dot_beside_decimal_commas(tmp_path, classes):
    rows = [(row[0].replace(".", ","), row[1], classes[row[2] == "yes"]) for row in ROWS]
    table = load_table(str(written(tmp_path, ";", rows=rows)))
    assert table.features[:, 0].tolist() == [1.5, 2.5, 3.5, 4.5] and len(table.classes) == 2


def test_numbers_that_pandas_does_not_know_are_read_all_the_same(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("a;b;class\n1,25\u00a0;1;x\n2,5;2;y\n1,5;3;x\n2,5;4;y\n", encoding="utf-8")
    assert load_table(str(path)).features.tolist() == [[1.25, 1], [2.5, 2], [1.5, 3], [2.5, 4]]
    path.write_text(f"a,b,class\n1,{'9' * 401},x\n2,5,y\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"column 'b' holds text \('99999"):
        load_table(str(path))


def test_a_number_below_one_between_tabs_tells_its_comma(tmp_path):
    path = tmp_path / "fixed.csv"
    path.write_text("a\tb\tclass\n1,288\t1,449\tx\n0,066\t-0,765\tx\n1,288\t1,449\ty\n0,066\t-0,765\ty\n", encoding="utf-8")
    assert load_table(str(path)).features[1].tolist() == [0.066, -0.765]


def test_a_first_row_with_decimal_commas_is_no_header(tmp_path):
    path = written(tmp_path, ";", ("0,5", "0,5", "yes"), [(row[0].replace(".", ","), f"{row[1]},5", row[2]) for row in ROWS])
    assert load_table(str(path)).features[:, 0].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_class_and_all_else_may_have_decimal_commas_and_no_header(tmp_path, separator):
    rows = [("1,5", "2,25", "0,5"), ("2,5", "2,5", "0,5"), ("1,5", "2,75", "1,5"), ("2,5", "2,0", "1,5")]
    table = load_table(str(written(tmp_path, separator, header=None, rows=rows)))
    assert table.features.tolist() == [[1.5, 2.25], [2.5, 2.5], [1.5, 2.75], [2.5, 2.0]] and len(table.classes) == 2
    texts = [*((*row[:2], f"x{separator}y") for row in ROWS), *[("1", "2", f"x{separator}z")] * 2]
    listed = load_table(str(written(tmp_path, ",", header=None, rows=texts)))
    assert listed.features.shape[1] == 2 and listed.classes == [f"x{separator}y", f"x{separator}z"]


def test_row_numbers_without_a_name_are_no_feature(tmp_path, capsys):
    numbered = [(str(k), *row) for k, row in enumerate(ROWS)]
    assert load_table(str(written(tmp_path, header=("", "a", "b", "class"), rows=numbered))).names == ["a", "b"]
    assert "has no name and whole numbers that all differ: it tells the rows apart, and is left out" in capsys.readouterr().err
    assert len(load_table(str(written(tmp_path, header=("id", "a", "b", "class"), rows=numbered))).names) == 3
    assert len(load_table(str(written(tmp_path, header=("", "a", "b", "class"), rows=numbered[::-1]))).names) == 2  # as sorted
    named = [(f"Car {k}", *row) for k, row in enumerate(ROWS)]  # R's write.csv of mtcars
    assert load_table(str(written(tmp_path, header=("", "a", "b", "class"), rows=named))).names == ["a", "b"]
    measured = [(f"{k}.5", *row) for k, row in enumerate(ROWS)]
    assert len(load_table(str(written(tmp_path, header=("", "a", "b", "class"), rows=measured))).names) == 3
    twice = [("7", *row) for row in ROWS]
    assert len(load_table(str(written(tmp_path, header=("", "a", "b", "class"), rows=twice))).names) == 3


@pytest.mark.parametrize("separator", ["\t", ";"])
def test_two_columns_and_blank_lines_before_them_are_a_table(tmp_path, separator):
    path = written(tmp_path, separator, ("a", "class"), [row[1:] for row in ROWS])
    path.write_text("\n \n" + path.read_text())
    table = load_table(str(path))
    assert (table.name, table.names, table.features.ravel().tolist()) == ("table", ["a"], [2, 3, 4, 5])
    assert dataclasses.replace(table, labels=table.labels[::-1]).checksum != table.checksum


@pytest.mark.parametrize("separator", [" ", ",", "\t"])
@pytest.mark.parametrize("names", ["1234", "dbca", ["Fiat 128", "Mazda RX4", "Volvo 142E", "Ford"]])
def test_names_of_rows_that_rs_header_has_no_name_for_are_no_feature(tmp_path, separator, names):
    rows = [(f'"{name}"', *row) for name, row in zip(names, ROWS, strict=True)]
    table = load_table(str(written(tmp_path, separator, rows=rows)))
    assert table.names == ["a", "b"] and table.features.tolist() == [[1.5, 2], [2.5, 3], [3.5, 4], [4.5, 5]]


@pytest.mark.parametrize("names", ["1223", ["0.5", "1.5", "2.5", "3.5"]])
def test_header_with_a_name_too_few_is_refused_where_rows_have_no_names(tmp_path, names):
    rows = [(name, *row) for name, row in zip(names, ROWS, strict=True)]
    with pytest.raises(DatasetError, match="its header has 3 names, its rows have 4 values, and the first are no names of rows"):
        load_table(str(written(tmp_path, rows=rows)))


@pytest.mark.parametrize("header", [("a", "b", "class"), ("a", "b", "class", ""), None])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("more", [("",), ("", "")])
def test_separators_at_the_ends_of_rows_are_no_column(tmp_path, header, separator, more):
    table = load_table(str(written(tmp_path, separator, header, [row + more for row in ROWS])))
    assert table.features.tolist() == [[1.5, 2], [2.5, 3], [3.5, 4], [4.5, 5]] and table.classes == ["no", "yes"]


@pytest.mark.parametrize("before", ["# made by hand\n", "# by A, B and C\n# 2020\n\n", "% a\n", "sep=,\n", "\ufeff#\n"])
@pytest.mark.parametrize("header", [("a", "b", "class"), None])
def test_comments_before_the_table_are_left_out(tmp_path, before, header):
    path = written(tmp_path, header=header)
    path.write_text(before + path.read_text(), encoding="utf-8")
    table = load_table(str(path))
    assert table.names == (["a", "b"] if header else ["column 1", "column 2"]) and len(table.labels) == 4


def test_comment_with_the_names_is_the_header(tmp_path):
    path = written(tmp_path, header=("# class", "a", "b"), rows=[(row[2], *row[:2]) for row in ROWS])
    table = load_table(str(path), "class")
    assert table.names == ["a", "b"] and table.classes == ["no", "yes"]


def test_columns_set_apart_by_several_spaces_are_a_table(tmp_path):
    rows = [("", *row) for row in ROWS]
    assert load_table(str(written(tmp_path, "   ", ("", "a", "b", "class"), rows))).names == ["a", "b"]


@pytest.mark.parametrize("missing", ["", "NA", "?"])
def test_first_row_of_missing_values_and_a_class_is_no_header(tmp_path, missing):
    with pytest.raises(DatasetError, match=r"2 values are missing .* the first in data row 1, column 'column 1'"):
        load_table(str(written(tmp_path, header=None, rows=[(missing, missing, "yes"), *ROWS])))


@pytest.mark.parametrize(("title", "count"), [(("My measurements",), 3), (("a", "class"), 4)])
def test_line_that_is_no_part_of_the_table_is_quoted(tmp_path, title, count):
    rows = [row[:2] + ("1",) * (count - 3) + row[2:] for row in ROWS]
    with pytest.raises(DatasetError, match=rf"row 2 has {count} values, the first row {len(title)} \('{' '.join(title)}'\)"):
        load_table(str(written(tmp_path, header=title, rows=rows)))


def test_row_too_long_far_down_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="Expected 3 fields in line 42, saw 4"):
        load_table(str(written(tmp_path, rows=ROWS * 10 + [("1", *ROWS[0])])))


def test_spaces_behind_commas_are_no_part_of_a_class(tmp_path):
    assert load_table(str(written(tmp_path, ", "))).classes == ["no", "yes"]


def test_a_line_cut_where_the_separator_is_looked_for_does_not_count(tmp_path):
    wide = ";".join(f"1.{k:03}" for k in range(700))  # 20 such lines are more than the 65,536 characters that are looked at
    header, rows = ";".join(f"f{k}" for k in range(700)), [(wide, "yes" if k % 2 else "no") for k in range(24)]
    assert load_table(str(written(tmp_path, ";", (header, "class"), rows))).features.shape == (24, 700)


def test_numbers_name_classes_as_numbers_and_whole_features_become_voltages(tmp_path):
    table = load_table(str(written(tmp_path, rows=[("1", "2", "10"), ("2", "3", "2"), ("3", "4", "10"), ("4", "5", "2")])))
    assert table.classes == ["2", "10"] and table.labels.dtype.kind == "i"  # by value, not by their first digit
    assert table.features.dtype == float
    words = load_table(str(written(tmp_path)))
    assert words.labels.dtype.kind == "U"


@pytest.mark.parametrize("texts", [
    ("01", "1", "2"), ("00501", "00502", "00503"), ("1e1", "10", "11"), ("1.0", "1", "2"), ("-0", "0", "1"), ("1_0", "10", "2"),
    ("1.50", "1.5", "2"), ("9" * 20, "9" * 19, "1")])
def test_classes_that_are_codes_stay_as_they_are_written(tmp_path, texts):
    rows = [(str(k), "2", f" {text}") for k, text in enumerate(texts * 2)]
    table = load_table(str(written(tmp_path, rows=rows)))
    assert table.labels.tolist() == list(texts) * 2
    first = load_table(str(written(tmp_path, ";", ("class", "a", "b"), [(row[2], row[0], "1,5") for row in rows])), "class")
    assert first.labels.tolist() == list(texts) * 2 and first.features[0].tolist() == [0.0, 1.5]


@pytest.mark.parametrize(("texts", "kind"), [(("-1", "0", "10"), "i"), (("True", "False"), "b"), (("TRUE", "false"), "b"),
                                             (("0.5", "1.5"), "U")])
def test_classes_that_are_numbers_or_truth_values_are_such(tmp_path, texts, kind):
    rows = [(str(k), "2", text) for k, text in enumerate(texts * 2)]
    assert load_table(str(written(tmp_path, rows=rows))).labels.dtype.kind == kind


def test_big_endian_utf_16_is_read(tmp_path):
    path = written(tmp_path)
    path.write_bytes(b"\xfe\xff" + path.read_text().encode("utf-16-be"))
    assert load_table(str(path)).classes == ["no", "yes"]


def test_a_hundred_classes_are_not_too_many(tmp_path):
    rows = [(str(k), str(k / 7), f"class {k // 2}") for k in range(200)]
    assert len(load_table(str(written(tmp_path, rows=rows))).classes) == 100


@pytest.mark.parametrize(("count", "said"), [(12, r"it has c0, .*, c11$"), (13, r"it has c0, .*, c11 and more$")])
def test_columns_that_could_be_meant_are_named_up_to_twelve(tmp_path, count, said):
    path = written(tmp_path, header=[f"c{k}" for k in range(count)], rows=[["1"] * count] * 3)
    for label in ("0", str(count + 1), str(-count - 1), "XX1"):
        with pytest.raises(DatasetError, match=rf"table\.csv: has no column '{label}'; {said}"):
            load_table(str(path), label)


@pytest.mark.parametrize("label", ["class", "1", "-3"])
def test_label_column_by_name_or_number(tmp_path, label):
    last = load_table(str(written(tmp_path)), "3")
    assert last.classes == ["no", "yes"] and last.names == ["a", "b"]
    rows = [row[::-1] if label != "class" else row for row in ROWS]
    header = ("class", "b", "a") if label != "class" else ("a", "b", "class")
    assert load_table(str(written(tmp_path, header=header, rows=rows)), label).classes == ["no", "yes"]


@pytest.mark.parametrize(("rows", "label", "said"), [
    ([*ROWS, ("", "3", "no")], None, r"1 values are missing \(empty, NA or \?\), the first in data row 5, column 'a'"),
    ([*ROWS, ("1", "?", "no")], None, r"1 values are missing \(empty, NA or \?\), the first in data row 5, column 'b'"),
    ([("x", "2", "yes"), *ROWS], None, r"column 'a' holds text \('x'\)"),
    ([*ROWS, ("x" * 31, "2", "yes")], None, rf"column 'a' holds text \('{'x' * 30}'\), .* say --label a$"),
    ([(*row[:2], "yes") for row in ROWS], None,
     r"all 4 rows are of one class, yes; .* apart \(--label names the class column\)$"),
    ([*ROWS, ("1", "1", "once")], None, "class once has one member; .*: leave it out, or join it with another$"),
    ([("inf", "2", "yes"), *ROWS], None, "column 'a' holds infinite values"),
    ([*ROWS, ("1", "-1.797e308", "yes")], None, r"data row 5, column 'b': -1.797e\+308 is beyond 1e\+100, .* leave the row out$"),
    (ROWS, "colour", "has no column 'colour'; it has a, b, class"),
    ([(str(k), "1", str(k / 2)) for k in range(300)], None, "300 different values in 300 rows"),
    ([(str(k), "1", str(k / 2)) for k in range(30)], None, "30 different values in 30 rows"),
    ([(str(k), "1", f"id{k % 101}") for k in range(404)], None, "101 different values in 404 rows"),
    ([], None, "has a header and no rows"),
])
def test_what_cannot_be_learnt_is_one_line(tmp_path, rows, label, said):
    with pytest.raises(DatasetError, match=said) as raised:
        load_table(str(written(tmp_path, rows=rows)), label)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a "), ("class", "b")])
def test_columns_of_one_name_are_refused(tmp_path, names):
    """Else --label would take one of two, and the other one might tell the class."""
    with pytest.raises(DatasetError, match=f"has two columns '{names[0]}'; give each a name of its own"):
        load_table(str(written(tmp_path, header=(*names, "class"))), "class")


@pytest.mark.parametrize(("header", "what"), [(("2019", "2020", "class"), "the class of row 1, 'class', occurs once"),
                                              (("1", "a", "class"), r"column 'column 2' holds text \('a'\)")])
def test_a_first_row_with_numbers_is_said_to_be_taken_as_data(tmp_path, header, what):
    with pytest.raises(DatasetError, match=f"{what}.*; its first row has numbers, so it was taken as data, not as a header"):
        load_table(str(written(tmp_path, header=header)))


def test_spaces_behind_a_class_are_not_part_of_it_and_none_is_a_class(tmp_path):
    rows = [(*row[:2], "None" if row[2] == "no" else "yes ") for row in ROWS] + [("1", "1", "yes")]
    assert load_table(str(written(tmp_path, rows=rows))).classes == ["None", "yes"]


def test_numbers_beyond_64_bits_and_truth_values_are_numbers(tmp_path):
    rows = [("123456789012345678901234567890", "True", "yes"), *((row[0], "False", row[2]) for row in ROWS), ("1", "True", "no")]
    assert load_table(str(written(tmp_path, rows=rows))).features[0].tolist() == [123456789012345678901234567890.0, 1.0]


def test_a_text_far_down_is_one_line_without_a_warning(tmp_path, recwarn):
    rows = [("1.5", "2", "yes")] * 300000 + [("x", "2", "no")] * 2
    with pytest.raises(DatasetError, match=r"column 'a' holds text \('x'\)"):
        load_table(str(written(tmp_path, rows=rows)))
    assert not recwarn.list


@pytest.mark.parametrize(("content", "said"), [
    (b"", "is empty"), (b"\x89PNG\0\0", r"\(its bytes are no text; save it as CSV in UTF-8\)$"),
    (b"\xff\xfe\xff\xdf\x20\x00\x41", "its bytes are no text"), (bytes(range(129, 256)), "its bytes are no text"),
    (b'a,b,c\n1,2,x\n1,2,3,4,y\n"', "is no table"), (b"a\nx\ny\n", "one column")])
def test_files_that_are_no_tables(tmp_path, content, said):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=said) as raised:
        load_table(str(path))
    assert "\n" not in str(raised.value)


def test_no_such_file_names_what_there_is():
    with pytest.raises(DatasetError, match="iris, wine, breast_cancer, digits"):
        load_table("nowhere.csv")


def test_a_large_table_is_drawn_by_class():
    iris = load_table("iris")
    assert (iris.name, iris.names[0], iris.classes) == ("iris", "sepal length (cm)", ["setosa", "versicolor", "virginica"])
    assert iris.sampled(150, seed=1) is iris
    table = iris.sampled(60, seed=1)
    assert (table.name, table.names) == (iris.name, iris.names)
    # Iris has a flower twice: no row comes more often than in the whole.
    rows, counts = np.unique(np.column_stack([table.features, table.labels == "setosa"]), axis=0, return_counts=True)
    assert counts.max() <= 2 and len(rows) >= 59
    assert np.array_equal(iris.sampled(60, seed=1).features, table.features)
    assert not np.array_equal(iris.sampled(60, seed=2).features, table.features)
    few = iris.sampled(3, seed=1)
    assert np.unique(few.labels, return_counts=True)[1].tolist() == [2, 2, 2]  # that cross-validation can go on
    assert np.unique(table.labels, return_counts=True)[1].tolist() == [20, 20, 20]
    assert table.features.shape == (60, 4)
