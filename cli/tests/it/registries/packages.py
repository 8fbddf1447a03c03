"""Makes packages, and the site of the registry that offers them.

Standard input says in JSON what the registry is and which packages it has, standard output says
what it serves. Besides files of packages these are its index documents, written into the folder
that is the argument. Fields of answers are those that the registry of that name sends.
"""

import base64
import gzip
import hashlib
import io
import json
import lzma
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

FOLDER = pathlib.Path(sys.argv[1])
FOR_EVER = 365 * 24 * 3600
site = []


def digest(algorithm, body):
    return hashlib.new(algorithm, body).hexdigest()


def serve(host, path, kind, body, control, vary=None, zipped=False):
    """One answer. Several of one path are told apart by their type; the last goes to who names none."""
    name = f"{len(site):04}"
    entry = {
        "host": host,
        "path": path,
        "type": kind,
        "control": control,
        "vary": vary,
        "body": name,
    }
    (FOLDER / name).write_bytes(body)
    if zipped:
        # As these registries do for whoever takes it, which is every client.
        entry["gzip"] = name + ".gz"
        (FOLDER / entry["gzip"]).write_bytes(gzip.compress(body, mtime=0))
    site.append(entry)


def serve_text(host, path, kind, text, control, vary="Accept-Encoding"):
    serve(host, path, kind, text.encode(), control, vary, zipped=True)


def tar(folder, members, payload):
    """A tar.gz of texts and of the payload, in one folder."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped:
        with tarfile.open(fileobj=zipped, mode="w") as archive:
            contents = {name: text.encode() for name, text in members.items()}
            for name, body in {**contents, "payload.bin": payload}.items():
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
    return packed.getvalue()


def zipped(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, body in members.items():
            archive.writestr(zipfile.ZipInfo(name), body)
    return packed.getvalue()


def pypi(name, versions):
    under = name.replace("-", "_")
    files, links = [], []
    for package in versions:
        version = package["version"]
        needs = "".join(f"Requires-Dist: {need}>=1\n" for need, _ in package["needs"])
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode()
        info = f"{under}-{version}.dist-info"
        members = {
            f"{under}/__init__.py": b"",
            f"{under}/payload.bin": package["payload"],
            f"{info}/METADATA": metadata,
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: registries\n"
            b"Root-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = ""
        for member, body in members.items():
            coded = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=")
            record += f"{member},sha256={coded.decode()},{len(body)}\n"
        members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
        wheel = zipped(members)
        package["keep"](wheel, "application/octet-stream", f"max-age={FOR_EVER}, immutable, public")
        host, path = package["host"], package["path"]
        kind = "application/octet-stream"
        serve(host, path + ".metadata", kind, metadata, f"max-age={FOR_EVER}, immutable, public")
        url, filename = f"https://{host}{path}", path.rsplit("/", 1)[1]
        of_metadata = digest("sha256", metadata)
        files.append(
            {
                "core-metadata": {"sha256": of_metadata},
                "data-dist-info-metadata": {"sha256": of_metadata},
                "filename": filename,
                "hashes": {"sha256": digest("sha256", wheel)},
                "provenance": None,
                "requires-python": ">=3.7",
                "size": len(wheel),
                "upload-time": "2024-01-01T00:00:00.000000Z",
                "url": url,
                "yanked": False,
            }
        )
        links.append(
            f'<a href="{url}#sha256={digest("sha256", wheel)}" data-requires-python="&gt;=3.7" '
            f'data-dist-info-metadata="sha256={of_metadata}" '
            f'data-core-metadata="sha256={of_metadata}">{filename}</a><br />\n'
        )
    page = {
        "files": files,
        "meta": {"_last-serial": 1, "api-version": "1.3"},
        "name": name,
        "versions": [package["version"] for package in versions],
    }
    html = (
        '<!DOCTYPE html>\n<html>\n<head>\n<meta name="pypi:repository-version" content="1.3">\n'
        f"<title>Links for {name}</title>\n</head>\n<body>\n<h1>Links for {name}</h1>\n"
        f"{''.join(links)}</body>\n</html>\n"
    )
    path, control, vary = f"/simple/{name}/", "max-age=600, public", "Accept, Accept-Encoding"
    kind = "application/vnd.pypi.simple.v1+json"
    serve_text("pypi.org", path, kind, json.dumps(page), control, vary)
    serve_text("pypi.org", path, "text/html; charset=UTF-8", html, control, vary)


def npm(name, versions):
    manifests = {}
    for package in versions:
        manifest = {
            "name": name,
            "version": package["version"],
            "dependencies": {need: "^1.0.0" for need, _ in package["needs"]},
        }
        members = {"package.json": json.dumps(manifest), "index.js": ""}
        packed = tar("package", members, package["payload"])
        control = f"public, immutable, max-age={FOR_EVER}"
        package["keep"](packed, "application/octet-stream", control)
        coded = base64.b64encode(hashlib.sha512(packed).digest()).decode()
        dist = {
            "integrity": f"sha512-{coded}",
            "shasum": digest("sha1", packed),
            "tarball": f"https://{package['host']}{package['path']}",
            "fileCount": 3,
            "unpackedSize": len(package["payload"]),
        }
        manifests[package["version"]] = {**manifest, "dist": dist}
    time = "2024-01-01T00:00:00.000Z"
    short = {
        "name": name,
        "modified": time,
        "dist-tags": {"latest": versions[-1]["version"]},
        "versions": manifests,
    }
    times = {"created": time, "modified": time, **{version: time for version in manifests}}
    whole = {"_id": name, "_rev": "1-a", **short, "readme": "A package.", "time": times}
    path, control, vary = f"/{name.replace('/', '%2f')}", "public, max-age=300", "Accept-Encoding, Accept"
    kind = "application/vnd.npm.install-v1+json"
    serve_text("registry.npmjs.org", path, kind, json.dumps(short), control, vary)
    serve_text("registry.npmjs.org", path, "application/json", json.dumps(whole), control, vary)


def cargo(name, versions):
    lines = ""
    for package in versions:
        version = package["version"]
        needs = "".join(f'{need} = "1"\n' for need, _ in package["needs"])
        manifest = (
            f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n'
            f"[dependencies]\n{needs}"
        )
        members = {"Cargo.toml": manifest, "src/lib.rs": ""}
        packed = tar(f"{name}-{version}", members, package["payload"])
        package["keep"](packed, "application/gzip", f"public,max-age={FOR_EVER},immutable")
        need = {
            "req": "^1",
            "features": [],
            "optional": False,
            "default_features": True,
            "target": None,
            "kind": "normal",
        }
        line = {
            "name": name,
            "vers": version,
            "deps": [{"name": of, **need} for of, _ in package["needs"]],
            "cksum": digest("sha256", packed),
            "features": {},
            "yanked": False,
        }
        lines += json.dumps(line) + "\n"
    path = f"/{name[:2]}/{name[2:4]}/{name}"
    serve_text("index.crates.io", path, "text/plain", lines, "public,max-age=600")


def cargo_config():
    config = {"dl": "https://static.crates.io/crates", "api": "https://crates.io"}
    text = json.dumps(config, indent=2)
    serve_text("index.crates.io", "/config.json", "application/json", text, "public,max-age=600")


def go(name, versions):
    module = f"example.org/{name}"
    for package in versions:
        version = f"v{package['version']}"
        needs = "".join(f"require example.org/{need} v{at}\n" for need, at in package["needs"])
        manifest = f"module {module}\n\ngo 1.20\n{needs}".encode()
        root = f"{module}@{version}"
        members = {
            f"{root}/go.mod": manifest,
            f"{root}/lib.go": f"package {name.replace('-', '_')}\n".encode(),
            f"{root}/payload.bin": package["payload"],
        }
        control = "public, max-age=10800"
        package["keep"](zipped(members), "application/zip", control)
        path = package["path"].removesuffix(".zip")
        info = json.dumps({"Version": version, "Time": "2024-01-01T00:00:00Z"}).encode()
        serve(package["host"], path + ".info", "application/json", info, control)
        serve(package["host"], path + ".mod", "text/plain; charset=UTF-8", manifest, control)
    listed = "".join(f"v{package['version']}\n" for package in versions).encode()
    path, kind = f"/{module}/@v/list", "text/plain; charset=UTF-8"
    serve(versions[0]["host"], path, kind, listed, "public, max-age=60")


def apt(packages, label):
    """A suite whose index is large, as Debian's is."""
    host = packages[0]["host"]
    index = ""
    for package in packages:
        name, version = package["name"], package["version"]
        needs = ", ".join(need for need, _ in package["needs"])
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
            f"Maintainer: Nobody <nobody@example.org>\n{'Depends: ' + needs if needs else ''}\n"
        ).replace("\n\n", "\n")
        with tempfile.TemporaryDirectory() as root:
            root = pathlib.Path(root)
            root.chmod(0o755)
            (root / "DEBIAN").mkdir()
            (root / "DEBIAN/control").write_text(control + "Description: a package\n")
            (root / "usr/share").mkdir(parents=True)
            (root / "usr/share" / name).write_bytes(package["payload"])
            command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, root / "it.deb"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            packed = (root / "it.deb").read_bytes()
        package["keep"](packed, "application/vnd.debian.binary-package", "public, max-age=2592000")
        place = package["path"].removeprefix("/debian/")
        index += f"{control}Filename: {place}\nSize: {len(packed)}\n"
        index += f"SHA256: {digest('sha256', packed)}\nDescription: a package\n\n"
    for number in range(6_000):
        said = f"{label}-{number}"
        index += f"Package: {said}\nVersion: 1\nArchitecture: all\nFilename: pool/{said}.deb\n"
        index += f"Size: 1\nSHA256: {digest('sha256', said.encode())}\nDescription: another\n\n"
    plain = index.encode()
    sums = ""
    for name, body in [("Packages", plain), ("Packages.xz", lzma.compress(plain, preset=0))]:
        name, folder = f"main/binary-amd64/{name}", "/debian/dists/stable/main/binary-amd64"
        said = digest("sha256", body)
        sums += f" {said} {len(body)} {name}\n"
        kind, control = "application/octet-stream", "public, max-age=2592000"
        serve(host, f"{folder}/by-hash/SHA256/{said}", kind, body, control)
    release = (
        "Origin: Test\nLabel: Test\nSuite: stable\nCodename: stable\n"
        "Date: Mon, 01 Jan 2024 00:00:00 UTC\nAcquire-By-Hash: yes\nArchitectures: amd64\n"
        f"Components: main\nSHA256:\n{sums}"
    )
    body, control = release.encode(), "public, max-age=120"
    serve(host, "/debian/dists/stable/Release", "text/plain", body, control)


def main():
    asked = json.load(sys.stdin)
    by_name = {}
    for package in asked["packages"]:
        package["payload"] = pathlib.Path(package["payload"]).read_bytes()

        def keep(body, kind, control, package=package):
            pathlib.Path(package["file"]).write_bytes(body)
            serve(package["host"], package["path"], kind, body, control)

        package["keep"] = keep
        by_name.setdefault(package["name"], []).append(package)
    if asked["registry"] == "apt":
        apt(asked["packages"], asked["label"])
    else:
        make = {"pypi": pypi, "npm": npm, "cargo": cargo, "go": go}[asked["registry"]]
        for name, versions in by_name.items():
            make(name, versions)
    if asked["registry"] == "cargo":
        cargo_config()
    json.dump(site, sys.stdout)


main()
