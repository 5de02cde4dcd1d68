"""How a table lies in its file: which lines are its header, its rows and none of both, said of files of a few lines."""

import os
import re

import pandas as pd
import pytest

from datasets import DatasetError
from memristive.cli.tables import load_table

ROWS = "1.5,2,yes\n2.5,3,no\n3.5,4,yes\n4.5,5,no\n"


def loaded(folder, text, label=None):
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return load_table(str(path), label)


@pytest.mark.parametrize(("text", "names", "classes"), [
    (",class\n1.5,yes\n2.5,no\n3.5,yes\n4.5,no\n", ["Unnamed: 0"], ["no", "yes"]),
    (",,b,class\n1.5,2,3,yes\n2.5,2,4,no\n3.5,3,5,yes\n4.5,4,6,no\n", ["Unnamed: 0", "Unnamed: 1", "b"], ["no", "yes"]),
    ("# X1,b,class\n" + ROWS, ["X1", "b"], ["no", "yes"]),
    ("# made by hand\n# a,b,class\n" + ROWS, ["a", "b"], ["no", "yes"]),
    ("#a,class\n1,yes\n2,no\n3,yes\n4,no\n", ["a"], ["no", "yes"]),
    ("a;b;class\n1,5;2,5;x, y\n2,5;3,5;no, z\n3,5;4,5;x, y\n4,5;5,5;no, z\n", ["a", "b"], ["no, z", "x, y"]),
    ("1,2,aXbXcXd\n2,3,eXfXgXh\n3,4,aXbXcXd\n4,5,eXfXgXh\n", ["column 1", "column 2"], ["aXbXcXd", "eXfXgXh"]),
    ("a;b;class\n1;2;yes\n  \n2;3;no\n3;4;yes\n4;5;no\n", ["a", "b"], ["no", "yes"]),
    (",Unnamed: 0,a,class\n3,0,1.5,yes\n2,1,2.5,no\n1,2,3.5,yes\n0,3,4.5,no\n", ["a"], ["no", "yes"]),
    ("Unnamed: 0.1,Unnamed: 0,a,class\n0,0,1.5,yes\n1,1,2.5,no\n2,2,3.5,yes\n3,3,4.5,no\n", ["a"], ["no", "yes"]),
    ("a,b,class\r1,2,yes\r2,3,no\r3,4,yes\r4,5,no\r", ["a", "b"], ["no", "yes"]),
    ("a,class\n1,0\n2,1\n3,0\n4,1\n", ["a"], ["0", "1"]),
    ("big,inf,class\n" + ROWS, ["big", "inf"], ["no", "yes"]),  # words that Python takes for numbers
])
def test_header_rows_and_columns_are_found_out(tmp_path, text, names, classes):
    table = loaded(tmp_path, text)
    assert (table.names, table.classes, len(table.labels)) == (names, classes, 4)


@pytest.mark.parametrize(("text", "said"), [
    ("a,b,class\n1,2,3,4,5\n1,2,yes\n2,3,no\n", "row 2 has 5 values, the first row 3 ('a b class'); leave out what is no table, "
                                                "and give each column a name"),
    ("a,b,class\n1,2,3,4,5\n", "row 2 has 5 values, the first row 3 ('a b class'); leave out what is no table, and give each "
                               "column a name"),
    ("measurements of some flowers, by hand\n1,2,3,yes\n1,2,3,no\n", "row 2 has 4 values, the first row 2 ('measurements of some "
     "flowers b'); leave out what is no table, and give each column a name"),
    ("a,b,class\n,,\n1,2,yes\n2,3,no\n", "3 values are missing (empty, NA or ?), the first in data row 1, column 'a'; fill them "
                                         "in, or leave those rows out"),
    ("a b class\n1 1.5 2 yes\n2 2.5 3 no\n", "the class column has 2 different values in 2 rows; is it the right one? "
                                             "--label names another"),
    ("#a,b,class\n1,2,yes\n", "all 1 rows are of one class, yes; there is nothing to tell apart (--label names the class "
                               "column)"),
    ("1,\n2,\n3,\n", "has one column, 'column 1': there is nothing to learn from"),
    ('""\nNA\nNA\nNA\n', "3 values are missing (empty, NA or ?), the first in data row 1, column 'Unnamed: 0'; fill them in, or "
                         "leave those rows out"),
    ("a;b;class\n1.001;1,5;yes\n900;2,5;no\n1.200;1,5;yes\n", "column 'a' holds '1.001', where other numbers have a "
     "decimal comma; write all of them in one way; if it is the class, say --label a"),
    ("a;b;class\n1.000.000;1,5;yes\n900;2,5;no\n", "column 'a' holds text ('1.000.000'), features must be numbers; if it is "
     "the class, say --label a"),
    ("day;b;class\n01.02.2024;1,5;yes\n02.02.2024;2,5;no\n", "column 'day' holds text ('01.02.2024'), features must be numbers; "
     "if it is the class, say --label day"),
    ("a\tb\tclass\n1,5\t1.5\tyes\n2,5\t2\tno\n", "column 'b' holds '1.5', where other numbers have a decimal comma; write all "
     "of them in one way; if it is the class, say --label b"),
    ("a\tb\tclass\n1,500\t1.5\tyes\n2,500\t2\tno\n", "column 'a' holds text ('1,500'), features must be numbers; if it is the "
     "class, say --label a"),
    ("\x0c\na,b,class\n" + ROWS, "is no table of comma-separated values (its bytes are no text; save it as CSV in UTF-8)"),
    ("# by hand\n# in 2020\n", "is no table of comma-separated values (it has comments alone)"),
    ("a,a,class\n1,2,yes\n", "has two columns 'a'; give each a name of its own"),
    ("a,a,class\n1,1,2,yes\n2,1,2,no\n", "has two columns 'a'; give each a name of its own"),
    ("a,b,class\n7,1,2,yes\n7,1,2,no\n7,2,3,no\n", "its header has 3 names, its rows have 4 values, and the first are no names "
                                                   "of rows; give each column a name"),
    ("0,1,2\n1,2,1\n2,3,0\n3,4,1\n4,5,0\n", "its first row, 0,1,2, may be a sample or what pandas writes for columns without "
     "names; if it is a sample, give each column a name, if not, leave it out (header=False)"),
    ("0,1\n0.05,1\n0.1,0\n0.15,1\n0.2,0\n", "its first row, 0,1, may be a sample or what pandas writes for columns without "
     "names; if it is a sample, give each column a name, if not, leave it out (header=False)"),
    (",0,1\n5.1,3,0\n4.2,1,1\n3.3,2,0\n", "1 values are missing (empty, NA or ?), the first in data row 1, column 'column 1'; "
     "fill them in, or leave those rows out; its first row has numbers, so it was taken as data, not as a header"),
    ("2019,,class\n1,2,yes\n2,3,no\n", "1 values are missing (empty, NA or ?), the first in data row 1, column 'column 2'; fill "
     "them in, or leave those rows out; its first row has numbers, so it was taken as data, not as a header"),
    ("2019,2020,class\n1,2,yes\n2,3,no\n3,4,yes\n4,5,no\n", "the class of row 1, 'class', occurs once; its first row has "
                                                           "numbers, so it was taken as data, not as a header"),
])
def test_what_is_wrong_is_said_in_one_line_with_the_file(tmp_path, text, said):
    with pytest.raises(DatasetError, match=f"^({re.escape(str(tmp_path / 'table.csv'))}|table): {re.escape(said)}$"):
        loaded(tmp_path, text)


@pytest.mark.parametrize(("columns", "label"), [([0, 1, "class"], None), (["class", 0, 1], "1")])
@pytest.mark.parametrize(("index", "classes"), [(True, [2, 0, 2, 0]), (True, [*"ynyn"]), (False, [*"ynyn"])])
def test_a_header_that_pandas_writes_for_columns_without_names_is_no_sample(tmp_path, columns, label, index, classes):
    """As a sample it would stretch the features' ranges, and where its last number is a class nothing would stop it."""
    frame = pd.DataFrame({0: [0.5, 1.0, 0.25, 0.75], 1: [7, 5, 3, 9], "class": classes})[columns]
    frame.columns = range(3)
    frame.to_csv(tmp_path / "table.csv", index=index)
    table = load_table(str(tmp_path / "table.csv"), label and str(int(label) + index))
    assert table.labels.tolist() == classes and table.features.tolist() == [[0.5, 7], [1, 5], [0.25, 3], [0.75, 9]]
    assert table.names == [f"column {k + 1 + index}" for k, name in enumerate(columns) if name != "class"]


def test_such_a_header_after_an_empty_name_is_one_over_whole_numbers_too(tmp_path):
    table = loaded(tmp_path, ",0,1,2\n0,5,7,1\n1,4,2,0\n2,6,6,1\n3,1,9,0\n")
    assert table.labels.tolist() == [1, 0, 1, 0] and table.names == ["column 2", "column 3"]


def test_a_sample_of_numbers_in_a_row_is_one(tmp_path):
    for first in ("-1,0,1", "1,2,3", "0,1,3", "0.0,1.0,2"):
        assert len(loaded(tmp_path, f"{first}\n4,2,1\n1,5,3\n7,3,2\n2,2,2\n0,2,{first[-1]}\n9,9,1\n9,8,3\n").labels) == 8


def test_a_row_too_long_far_down_loses_nothing_in_silence(tmp_path, recwarn):
    for more in ("1,2,yes,7\n", "1,2,yes,7\n" * 3):
        with pytest.raises(DatasetError, match="Expected 3 fields in line 42, saw 4"):
            loaded(tmp_path, "a,b,class\n" + ROWS * 10 + more)
    assert not recwarn.list


@pytest.mark.parametrize(("numbers", "warns"), [
    (range(1, 13), True), (range(12, 0, -1), True), (range(0, 24, 2), True), (range(24, 0, -2), True),
    ([*range(5), *range(9, 16)], True), ([f"{k}.0" for k in range(12)], True), ([*range(0, 22, 2), 1], False),
    ([f"{k}.5" for k in range(12)], False), ([1] * 12, False), (range(1, 6), False)])
def test_a_named_column_that_numbers_the_rows_is_warned_of(tmp_path, capsys, numbers, warns):
    """Kaggle's Iris has such an Id, sorted by class: it alone tells the class."""
    text = "Id,a,class\n" + "".join(f"{n},{k % 3}.5,{'yes' if k % 2 else 'no'}\n" for k, n in enumerate(numbers))
    assert loaded(tmp_path, text).names == ["Id", "a"]
    assert ("warning: " in (said := capsys.readouterr().err)) == warns
    assert ("column 'Id' numbers the rows" in said) == warns


@pytest.mark.parametrize("label", ["\u00b2", "--2", "9" * 5000, "+1", "1.0"])
def test_what_is_no_number_of_a_column_is_said(tmp_path, label):
    with pytest.raises(DatasetError, match="has no column"):
        loaded(tmp_path, "a,b,class\n" + ROWS, label)


@pytest.mark.parametrize(("values", "warns"), [
    ([3, 1, 2, 6, 5, 4, 9, 8, 7, 11, 10], True), (range(0, 33, 3), True), (range(22, 0, -2), True), (range(1, 11), False),
    ([2, 6, 4, 8, 12, 10, 14, 18, 16, 20, 22], False), ([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], False)])
def test_column_that_numbers_more_than_ten_rows_is_told_wherever_it_stands(tmp_path, capsys, values, warns):
    """1, 2, 3 in any order, or whole numbers that only rise or only fall."""
    rows = "".join(f"{k % 3 + 0.5},{k % 2},{value},{'ny'[k % 2]}\n" for k, value in enumerate(values))
    loaded(tmp_path, f"a,b,n,class\n{rows}")
    said = (f"warning: {tmp_path / 'table.csv'}: column 'n' numbers the rows, and is used as a feature; where rows are sorted "
            "by class it tells the class: better leave it out\n")
    assert capsys.readouterr().err == (said if warns else "")


def test_names_of_rows_that_are_left_out_are_told_as_such(tmp_path, capsys):
    loaded(tmp_path, ",a,class\nx1,1.5,yes\nx2,2.5,no\nx3,3.5,yes\nx4,4.5,no\n")
    assert "the first column has no name and names that all differ" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_pipe_is_refused_before_it_is_read(tmp_path):
    """It could be read but once, and would seem to have no rows the second time."""
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DatasetError, match="is a pipe or a device; save the table in a file first"):
        load_table(str(tmp_path / "pipe.csv"))


def test_codes_with_underscores_are_no_numbers(tmp_path):
    (tmp_path / "codes.csv").write_text("code,x,class\n1_20,1,a\n1_21,2,b\n1_30,3,a\n1_31,4,b\n")
    with pytest.raises(DatasetError, match="column 'code' holds"):
        load_table(str(tmp_path / "codes.csv"))


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_spaces_in_names_and_classes_are_no_separators(tmp_path, mark):
    rows = [("alcohol", "kind of wine"), *[(f"{value}", f"{kind} dry wine") for value, kind in
                                           ((12.1, "red"), (13.2, "white"), (12.2, "red"), (13.3, "white"))]]
    table = loaded(tmp_path, "".join(f"{mark.join(row)}\n" for row in rows))
    assert (table.names, table.classes) == (["alcohol"], ["red dry wine", "white dry wine"])
    with pytest.raises(DatasetError, match="has a header and no rows"):
        loaded(tmp_path, f"sepal length (cm){mark}sepal width (cm){mark}species\n")
