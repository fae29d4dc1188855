"""Adds the sort order to the footer of a Parquet file, because Spark's writer has no setting for it.

The footer is a structure of Thrift's compact protocol (Parquet's parquet.thrift: FileMetaData, RowGroup, SortingColumn). The rows
before it stay as they are.
"""

import os
import struct

MAGIC = b"PAR1"
# Bytes of the footer's length and of the magic at the end of a file.
TAIL_BYTES = 8
# Types of the compact protocol, by their numbers.
FALSE, TRUE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 2, 1, 3, 7, 8, 9, 10, 11, 12
# Fields of FileMetaData and RowGroup.
ROW_GROUPS, SORTING_COLUMNS = 4, 4


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def varint(self):
        value = shift = 0
        while (byte := self.byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def items(self):
        """Number and type of the elements of a list."""
        head = self.byte()
        return (self.varint() if head >> 4 == 15 else head >> 4), head & 15

    def fields(self):
        """Number, type and begin of each field of a structure. The caller reads the value."""
        number = 0
        while True:
            begin = self.at
            head = self.byte()
            if head == 0:
                return
            if delta := head >> 4:
                number += delta
            else:
                zigzag = self.varint()
                number = zigzag >> 1 ^ -(zigzag & 1)
            yield number, head & 15, begin

    def skip(self, kind, in_struct=True):
        if kind in (TRUE, FALSE):
            self.at += not in_struct
        elif kind == BYTE:
            self.at += 1
        elif kind == DOUBLE:
            self.at += 8
        elif kind == BINARY:
            length = self.varint()
            self.at += length
        elif kind in (LIST, SET):
            count, element = self.items()
            for _ in range(count):
                self.skip(element, in_struct=False)
        elif kind == MAP:
            count = self.varint()
            kinds = self.byte() if count else 0
            for _ in range(count):
                self.skip(kinds >> 4, in_struct=False)
                self.skip(kinds & 15, in_struct=False)
        elif kind == STRUCT:
            for _, field, _ in self.fields():
                self.skip(field)
        else:
            self.varint()


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def sorting_columns(columns):
    """The value of the field: ascending, nulls last."""
    one = lambda column: b"\x15" + varint(column << 1) + bytes([0x10 | FALSE, 0x10 | FALSE, 0])
    return bytes([len(columns) << 4 | STRUCT]) + b"".join(map(one, columns))


def with_order(footer, columns):
    """The footer whose row groups are sorted by these leaf columns. Unchanged if it states an order already."""
    reader, pieces, copied = Reader(footer), [], 0
    for number, kind, _ in reader.fields():
        if number != ROW_GROUPS:
            reader.skip(kind)
            continue
        count, _ = reader.items()
        for _ in range(count):
            before = 0
            has_order = False
            for field, field_kind, begin in reader.fields():
                if before < SORTING_COLUMNS <= field:
                    has_order = field == SORTING_COLUMNS
                    if not has_order:
                        # The new field is inserted here. A head has the distance from the field before, so the next head changes.
                        order = bytes([(SORTING_COLUMNS - before) << 4 | LIST]) + sorting_columns(columns)
                        pieces += [footer[copied:begin], order]
                        copied = begin
                        # A head with distance 0 is followed by the field's number, which stays.
                        if footer[begin] >> 4:
                            pieces.append(bytes([(field - SORTING_COLUMNS) << 4 | field_kind]))
                            copied += 1
                before = field
                reader.skip(field_kind)
            if before < SORTING_COLUMNS and not has_order:
                end = reader.at - 1
                pieces += [footer[copied:end], bytes([(SORTING_COLUMNS - before) << 4 | LIST]) + sorting_columns(columns)]
                copied = end
    return b"".join(pieces) + footer[copied:]


def declare_order(path, columns):
    """Changes a file in place. A file with a damaged end stays as it is, and is an error."""
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - TAIL_BYTES)
        length, magic = struct.unpack("<I4s", file.read(TAIL_BYTES))
        begin = size - TAIL_BYTES - length
        if magic != MAGIC or begin < len(MAGIC):
            raise ValueError(f"cannot declare the order of {path}: it is not a complete Parquet file")
        file.seek(begin)
        footer = with_order(file.read(length), columns)
        file.seek(begin)
        file.write(footer + struct.pack("<I4s", len(footer), MAGIC))
