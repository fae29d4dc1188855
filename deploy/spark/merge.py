"""Merges CCTF runs on a Spark cluster: one task a bucket, then the rest of the merge, a data set of Parquet files, and statistics by SQL.

    spark-submit deploy/spark/merge.py --out OUT --buckets 16 IN...

Each task executes `cctf merge --bucket i/N` on its machine. The program that submits the job executes `cctf merge --rests`. Spark
itself reads the rows of the buckets and writes them as partitions of the data set, and computes the statistics. OUT gets:

    buckets/bucket=000 ...   the rows of each bucket, and its files for the rest of the merge (docs/merge.md)
    rests                    the rest of the merge: everything except invocations and calls
    aligned-buckets, aligned-rests   with --align-clocks: the same of the second round
    run                      with --run: the whole run, equal to that of one `cctf merge`
    data                     the data set (docs/export/parquet.md)
    stats.json               one line for each row of --sql

OUT and IN are paths that all machines see, such as a mounted file system, or URIs that pyarrow reads (s3://, gs://, hdfs://,
file://). Of a URI, each task copies the input to its own disk first, and its bucket back at the end. Both ways are the same code.

A bucket that exists is not made again, so the same command continues after a failure. docs/scaling.md has the costs.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing

# The program beside this one.
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import footer  # noqa: E402

# Files that make a folder complete. They are copied last.
MANIFESTS = ("bucket.json", "rests.json", "run_meta.json")
# Tables whose rows are in buckets, with the column of their time.
TABLES = {"invocations": "ts_enqueue_ns", "calls": "ts_start_ns"}
# Files of a run or of rests that are not in its folder cctf. All others there are links.
BESIDE_CCTF = ("events_client.jsonl", "rests.json")
BUCKETS_MAX = 512
NS_PER_MS = 1_000_000
DEFAULT_SQL = pathlib.Path(__file__).with_name("stats.sql")


class Round(typing.NamedTuple):
    """Clocks are aligned in a second round, which reads the results of the first one."""

    buckets: str
    rests: str
    flags: list


RECORDED = Round("buckets", "rests", [])
ALIGNED = Round("aligned-buckets", "aligned-rests", ["--align-clocks"])


def is_uri(place):
    return "://" in place


def absolute(place):
    return place if is_uri(place) else os.path.abspath(place)


def below(place, *names):
    return "/".join([place.rstrip("/"), *names])


def filesystem(uri):
    from pyarrow import fs

    return fs.FileSystem.from_uri(uri)


def exists(place):
    if not is_uri(place):
        return os.path.exists(place)
    system, path = filesystem(place)
    return system.get_file_info(path).type.name != "NotFound"


def read_text(place):
    if not is_uri(place):
        return pathlib.Path(place).read_text()
    system, path = filesystem(place)
    with system.open_input_stream(path) as stream:
        return stream.read().decode()


def write_text(place, text):
    if not is_uri(place):
        return pathlib.Path(place).write_text(text)
    system, path = filesystem(place)
    with system.open_output_stream(path) as stream:
        stream.write(text.encode())


def delete(place):
    if not is_uri(place):
        return shutil.rmtree(place, ignore_errors=True)
    system, path = filesystem(place)
    if exists(place):
        system.delete_dir(path)


def files_in(place):
    """Name and size of each file directly in a folder."""
    if not is_uri(place):
        return {entry.name: entry.stat().st_size for entry in os.scandir(place) if entry.is_file()}
    from pyarrow import fs

    system, path = filesystem(place)
    return {entry.base_name: entry.size for entry in system.get_file_info(fs.FileSelector(path)) if entry.is_file}


def run_files(place):
    """The files of a run or bucket: without the links that a run folder also has."""
    names = [name for name in files_in(place) if name in BESIDE_CCTF or not exists(below(place, "cctf"))]
    if exists(below(place, "cctf")):
        names += [f"cctf/{name}" for name in files_in(below(place, "cctf"))]
    return names


def copy(source, target, names):
    """Copies files from one folder to another. The files that mark the folder as complete come last."""
    from pyarrow import fs

    for name in sorted(names, key=lambda name: (pathlib.PurePath(name).name in MANIFESTS, name)):
        (theirs, source_path), (ours, target_path) = filesystem(below(source, name)), filesystem(below(target, name))
        ours.create_dir(os.path.dirname(target_path), recursive=True)
        fs.copy_files(source_path, target_path, source_filesystem=theirs, destination_filesystem=ours)


def file_uri(path):
    return pathlib.Path(path).absolute().as_uri()


def spark_place(place):
    """A place as Spark reads it: a path is not one of the cluster's default file system. Spark does not decode it."""
    return place if is_uri(place) else f"file://{place}"


@contextlib.contextmanager
def at_hand(places, scratch):
    """The folders as paths of this machine."""
    with tempfile.TemporaryDirectory(prefix="cctf-in-", dir=scratch) as copies:
        paths = []
        for number, place in enumerate(places):
            if is_uri(place):
                path = os.path.join(copies, str(number))
                copy(place, file_uri(path), run_files(place))
                paths.append(path)
            else:
                paths.append(place)
        yield paths


@contextlib.contextmanager
def result_at(place, scratch):
    """The path of this machine for a folder that becomes `place`."""
    if not is_uri(place):
        os.makedirs(os.path.dirname(os.path.abspath(place)), exist_ok=True)
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="cctf-out-", dir=scratch) as made:
        path = os.path.join(made, "folder")
        yield path
        copy(file_uri(path), place, run_files(path))


def cctf(binary, *arguments):
    """Executes a command of cctf. Its error text becomes that of the task."""
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        command = " ".join(str(part) for part in arguments[:2])
        raise RuntimeError(f"cctf {command} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def bucket_place(options, of, index):
    return below(options.out, of.buckets, f"bucket={index:03}")


def inputs_of(options, of, index=None):
    """The folders from which a bucket or the rest of the merge of a round is made."""
    if of == RECORDED:
        return options.inputs
    rests = below(options.out, RECORDED.rests)
    return [rests] if index is None else [rests, bucket_place(options, RECORDED, index)]


def make_bucket(index, options, of):
    """The task of one bucket. Returns its manifest."""
    place = bucket_place(options, of, index)
    manifest = below(place, "bucket.json")
    if not exists(manifest):
        inputs = inputs_of(options, of, index)
        with at_hand(inputs, options.scratch) as paths, result_at(place, options.scratch) as path:
            flags = ["--bucket", f"{index}/{options.buckets}", *of.flags]
            cctf(options.cctf, "merge", path, *paths, *flags, *run_id_flag(options))
    return json.loads(read_text(manifest))


def run_id_flag(options):
    return ["--run-id", options.run_id] if options.run_id else []


def make_rests(options, of, name, marker, flags):
    """Computes everything over all buckets, unless `marker`, the file that is copied last, exists. The program that submits the job
    does it."""
    place = below(options.out, name)
    if exists(below(place, marker)):
        return
    buckets = [bucket_place(options, of, index) for index in range(options.buckets)]
    with contextlib.ExitStack() as stack:
        inputs = stack.enter_context(at_hand(inputs_of(options, of), options.scratch))
        parts = stack.enter_context(at_hand(buckets, options.scratch))
        path = stack.enter_context(result_at(place, options.scratch))
        cctf(options.cctf, "merge", path, *inputs, *of.flags, *flags, "--rests", *parts)


def empty_dataset(options, of, run_id, tables):
    """A data set with the run without the rows of `tables`: its other tables, types and views, all written by cctf."""
    place = below(options.out, "data")
    with contextlib.ExitStack() as stack:
        rests = stack.enter_context(at_hand([below(options.out, of.rests)], options.scratch))[0]
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="cctf-data-", dir=options.scratch))
        run = os.path.join(scratch, run_id)
        shutil.copytree(os.path.join(rests, "cctf"), os.path.join(run, "cctf"))
        for table in TABLES:
            pathlib.Path(run, "cctf", f"{table}.jsonl").touch()
        made = os.path.join(scratch, "data")
        cctf(options.cctf, "export", "parquet", run, "--out", made, "--buckets", options.buckets)
        index = json.loads(pathlib.Path(made, "index.json").read_text())
        for table in tables:
            shutil.rmtree(os.path.join(made, table, f"run_id={run_id}"))
        os.remove(os.path.join(made, "index.json"))
        delete(place)
        names = [str(path.relative_to(made)) for path in pathlib.Path(made).rglob("*") if path.is_file()]
        copy(file_uri(made), place if is_uri(place) else file_uri(place), names)
    return index


def rows_of(spark, options, of, index, table, run_id):
    """The rows of all buckets, with the columns of the data set. Types and names come from cctf."""
    from pyspark.sql import functions

    schema = cctf(options.cctf, "schema", f"{table}.jsonl", "--format", "spark").strip()
    place = spark_place(below(options.out, of.buckets))
    rows = spark.read.schema(f"{schema}, bucket STRING").option("basePath", place).json(below(place, "bucket=*", f"{table}.jsonl"))
    columns = next(found["columns"] for found in index["tables"] if found["name"] == table)

    def column(described):
        name = described["name"]
        field = functions.col(f"`{described.get('field', name)}`")
        is_time = name.endswith("_ns") and "field" in described
        return ((field * NS_PER_MS).cast("bigint") if is_time else field).alias(name)

    return rows.select(*map(column, columns), functions.lit(run_id).alias("run_id"), "bucket")


def write_dataset(spark, options, of, manifests):
    """Writes the rows of each bucket as its partition. No row moves to another machine: a file of a bucket is one partition of Spark."""
    run_id = manifests[0]["origin"]["run_id"]
    rows_in = {table: sum(manifest["counts"][table] for manifest in manifests) for table in TABLES}
    tables = [table for table in TABLES if rows_in[table] > 0]
    index = empty_dataset(options, of, run_id, tables)
    place = below(options.out, "data")
    of_run = index["runs"][0]["tables"]
    for table in tables:
        time = TABLES[table]
        largest = max(manifest["bytes"][f"{table}.jsonl"] for manifest in manifests)
        for setting in ("maxPartitionBytes", "openCostInBytes"):
            spark.conf.set(f"spark.sql.files.{setting}", str(largest + 1))
        rows = rows_of(spark, options, of, index, table, run_id)
        written = rows.sortWithinPartitions("trace_id", time).write.option("compression", "zstd").mode("append")
        written.partitionBy("run_id", "bucket").parquet(spark_place(below(place, table)))
        columns = [column["name"] for column in next(found["columns"] for found in index["tables"] if found["name"] == table)]
        order = [columns.index("trace_id"), columns.index(time)]
        for bucket in range(options.buckets):
            declare_order(below(place, table, f"run_id={run_id}", f"bucket={bucket:03}"), order, options.scratch)
        describe(spark, below(place, table, f"run_id={run_id}"), options.buckets, time, of_run[table])
        if of_run[table]["rows"] != rows_in[table]:
            raise RuntimeError(f"the data set has {of_run[table]['rows']} rows of {table}, and the buckets have {rows_in[table]}")
    write_text(below(place, "index.json"), json.dumps(index, indent=2) + "\n")


def declare_order(place, columns, scratch):
    """Declares the leaf columns by which each Parquet file of a folder is sorted. Objects in a store are downloaded for this, and
    uploaded again."""
    names = [name for name in files_in(place) if name.endswith(".parquet")] if exists(place) else []
    for name in names:
        if not is_uri(place):
            footer.declare_order(below(place, name), columns)
            continue
        with tempfile.TemporaryDirectory(prefix="cctf-order-", dir=scratch) as copies:
            copy(place, file_uri(copies), [name])
            footer.declare_order(os.path.join(copies, name), columns)
            copy(file_uri(copies), place, [name])


def describe(spark, place, buckets, time, described):
    """Counts and ranges of a table, for the index."""
    parts = [below(place, f"bucket={index:03}") for index in range(buckets)]
    sizes = [size for part in parts if exists(part) for name, size in files_in(part).items() if name.endswith(".parquet")]
    described.update(rows=0, files=len(sizes), bytes=sum(sizes))
    if sizes:
        rows, first, last = spark.read.parquet(spark_place(place)).selectExpr("count(*)", f"min({time})", f"max({time})").first()
        described.update(rows=rows, first_ns=first, last_ns=last)


def write_stats(spark, options):
    """The statements of the views and of --sql. The last one is the answer."""
    spark.sql(f"SET cctf_dataset.path={spark_place(below(options.out, 'data'))}")
    views = read_text(below(options.out, "data", "spark.sql"))
    for statement in views.split(";\n"):
        if statement.strip():
            spark.sql(statement)
    answer = spark.sql(re.sub(r"--.*", "", options.sql.read_text()).strip().rstrip(";"))
    lines = answer.toJSON().collect()
    write_text(below(options.out, "stats.json"), "".join(f"{line}\n" for line in lines))
    return lines


def buckets_number(text):
    number = int(text)
    if not 1 <= number <= BUCKETS_MAX or number & (number - 1):
        raise argparse.ArgumentTypeError(f"{text} is not a power of two from 1 to {BUCKETS_MAX}")
    return number


def flags():
    lines = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(description=lines[0], epilog=lines[1], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", metavar="IN", help="run folders, as for `cctf merge`")
    parser.add_argument("--out", required=True, help="folder of all results")
    parser.add_argument("--buckets", type=buckets_number, default=16, help="number of buckets: a power of two up to 512; default: 16")
    parser.add_argument("--run-id", help="run id of the result; required if the folders have different ones")
    parser.add_argument("--cctf", default="cctf", help="path of the program cctf on all machines; default: cctf")
    parser.add_argument("--scratch", help="folder of temporary files on each machine; default: the system's")
    parser.add_argument("--align-clocks", action="store_true", help="subtract clock offsets, in a second round over the buckets")
    parser.add_argument("--run", action="store_true", help="also merge the rows of all buckets by time into one run")
    parser.add_argument("--no-data", action="store_true", help="write no data set and no statistics")
    parser.add_argument("--sql", type=pathlib.Path, default=DEFAULT_SQL, 
                        help="file with a query over the views of the data set; default: stats.sql beside this program")
    options = parser.parse_args()
    # The tasks have other working folders.
    options.out, *options.inputs = map(absolute, [options.out, *options.inputs])
    if os.sep in options.cctf:
        options.cctf = os.path.abspath(options.cctf)
    return options


def main():
    from pyspark.sql import SparkSession

    options = flags()
    # Spark's file system for local paths would write a file with a checksum beside each file.
    builder = SparkSession.builder.appName("cctf merge").config("spark.hadoop.fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem")
    builder = builder.config("spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    spark = builder.config("spark.sql.sources.partitionColumnTypeInference.enabled", "false").getOrCreate()
    # Two attempts at one bucket would write the same folder.
    if spark.conf.get("spark.speculation", "false") == "true":
        sys.exit("merge.py: switch spark.speculation off")
    for of in (RECORDED, ALIGNED) if options.align_clocks else (RECORDED,):
        tasks = spark.sparkContext.parallelize(range(options.buckets), options.buckets)
        manifests = tasks.map(functools.partial(make_bucket, options=options, of=of)).collect()
        rows = sum(manifest["counts"]["invocations"] + manifest["counts"]["calls"] for manifest in manifests)
        print(f"{options.buckets} buckets with {rows} rows in {below(options.out, of.buckets)}", flush=True)
        make_rests(options, of, of.rests, "rests.json", [])
        print(f"rests in {below(options.out, of.rests)}", flush=True)
    if options.run:
        make_rests(options, of, "run", "cctf/run_meta.json", ["--rows"])
        print(f"the whole run in {below(options.out, 'run')}", flush=True)
    if not options.no_data:
        write_dataset(spark, options, of, manifests)
        print(f"data set in {below(options.out, 'data')}", flush=True)
        lines = write_stats(spark, options)
        print(f"{len(lines)} lines in {below(options.out, 'stats.json')}", flush=True)


if __name__ == "__main__":
    main()
