"""boto3 as people use it, against the door at the endpoint in the environment."""

import hashlib
import io
import os
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1 << 20
# Links are signed with version 2 unless boto3 is told; all else is version 4 anyway.
config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1})
s3 = boto3.client("s3", config=config)


def fails(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, (found, code)
        return error.response
    raise AssertionError(f"{code} was expected")


def buckets():
    s3.create_bucket(Bucket="work")
    fails("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket="work")
    s3.head_bucket(Bucket="work")
    fails("404", s3.head_bucket, Bucket="nothing")
    assert "work" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    s3.get_bucket_location(Bucket="work")


def objects():
    put = s3.put_object(
        Bucket="work", Key="a b/ü+.txt", Body=b"hello", ContentType="text/plain", Metadata={"colour": "black"}
    )
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    got = s3.get_object(Bucket="work", Key="a b/ü+.txt")
    assert got["Body"].read() == b"hello"
    assert got["ContentType"] == "text/plain" and got["Metadata"] == {"colour": "black"}
    part = s3.get_object(Bucket="work", Key="a b/ü+.txt", Range="bytes=1-3")
    assert part["Body"].read() == b"ell" and part["ContentRange"] == "bytes 1-3/5"
    # The others are computed by a package that boto3 does not bring along.
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        s3.put_object(Bucket="work", Key=algorithm, Body=b"hello", ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket="work", Key=algorithm, ChecksumMode="ENABLED")
        assert head[f"Checksum{algorithm}"], head
        s3.get_object(Bucket="work", Key=algorithm, ChecksumMode="ENABLED")["Body"].read()
    fails("PreconditionFailed", s3.put_object, Bucket="work", Key="CRC32", Body=b"x", IfNoneMatch="*")
    s3.put_object(Bucket="work", Key="CRC32", Body=b"x", IfMatch=put["ETag"])
    fails("NoSuchKey", s3.get_object, Bucket="work", Key="nothing")
    fails("404", s3.head_object, Bucket="work", Key="nothing")
    s3.copy_object(Bucket="work", Key="copy", CopySource={"Bucket": "work", "Key": "a b/ü+.txt"})
    assert s3.get_object(Bucket="work", Key="copy")["Metadata"] == {"colour": "black"}
    stream = io.BufferedReader(io.BytesIO(b"streamed"))
    s3.upload_fileobj(stream, "work", "streamed")
    assert s3.get_object(Bucket="work", Key="streamed")["Body"].read() == b"streamed"


def listing():
    s3.create_bucket(Bucket="many")
    keys = sorted([f"folder {number % 3}/{number:03}" for number in range(25)] + ["dir/", "dir//x", "é", "e\u0301"])
    for key in keys:
        s3.put_object(Bucket="many", Key=key, Body=key.encode())
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="many", PaginationConfig={"PageSize": 4})
    assert [item["Key"] for page in pages for item in page.get("Contents", [])] == sorted(keys, key=str.encode)
    pages = s3.get_paginator("list_objects").paginate(Bucket="many", PaginationConfig={"PageSize": 4})
    assert [item["Key"] for page in pages for item in page.get("Contents", [])] == sorted(keys, key=str.encode)
    page = s3.list_objects_v2(Bucket="many", Delimiter="/")
    folders = [prefix["Prefix"] for prefix in page["CommonPrefixes"]]
    assert folders == ["dir/", "folder 0/", "folder 1/", "folder 2/"], folders
    gone = s3.delete_objects(Bucket="many", Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(gone["Deleted"]) == len(keys) and "Errors" not in gone
    s3.delete_bucket(Bucket="many")


def parts():
    content = os.urandom(MIB) * 21 + b"end"
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(content), "work", "large", Config=config, ExtraArgs={"ContentType": "video/mp4"})
    head = s3.head_object(Bucket="work", Key="large")
    assert head["ETag"].endswith('-5"') and head["ContentType"] == "video/mp4", head
    back = io.BytesIO()
    s3.download_fileobj("work", "large", back, Config=config)
    assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(content).digest()
    s3.copy({"Bucket": "work", "Key": "large"}, "work", "larger", Config=config)
    assert s3.head_object(Bucket="work", Key="larger")["ContentLength"] == len(content)
    upload = s3.create_multipart_upload(Bucket="work", Key="never")["UploadId"]
    s3.upload_part(Bucket="work", Key="never", UploadId=upload, PartNumber=1, Body=b"x")
    assert len(s3.list_parts(Bucket="work", Key="never", UploadId=upload)["Parts"]) == 1
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket="work")["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket="work", Key="never", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="work")


def versions():
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket="kept")["Status"] == "Enabled"
    first = s3.put_object(Bucket="kept", Key="cat", Body=b"first")["VersionId"]
    s3.put_object(Bucket="kept", Key="cat", Body=b"second")
    s3.delete_object(Bucket="kept", Key="cat")
    fails("NoSuchKey", s3.get_object, Bucket="kept", Key="cat")
    listed = s3.list_object_versions(Bucket="kept")
    assert len(listed["Versions"]) == 2 and len(listed["DeleteMarkers"]) == 1
    assert s3.get_object(Bucket="kept", Key="cat", VersionId=first)["Body"].read() == b"first"
    marker = listed["DeleteMarkers"][0]["VersionId"]
    s3.delete_object(Bucket="kept", Key="cat", VersionId=marker)
    assert s3.get_object(Bucket="kept", Key="cat")["Body"].read() == b"second"
    boto3.resource("s3").Bucket("kept").object_versions.delete()
    s3.delete_bucket(Bucket="kept")


def links():
    link = s3.generate_presigned_url("put_object", Params={"Bucket": "work", "Key": "link"}, ExpiresIn=60)
    with urllib.request.urlopen(urllib.request.Request(link, data=b"by link", method="PUT")) as answer:
        assert answer.status == 200
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "work", "Key": "link"}, ExpiresIn=60)
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"by link"


for work in [buckets, objects, listing, parts, versions, links]:
    work()
    print(work.__name__, flush=True)
sys.exit(0)
