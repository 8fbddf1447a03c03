// Files and directories of the disk as UnixFS, and back.
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

const PROFILE = 'unixfs-v1-2025'

// Stores a file or directory; its CID.
export async function read (files, path, signal) {
  const options = { profile: PROFILE, signal }
  if ((await stat(path)).isFile()) {
    return files.addByteStream(createReadStream(path), options)
  }
  // The root of what is added comes last.
  let root
  for await (const { cid } of files.addAll(entries(path, basename(path)), options)) {
    root = cid
  }
  return root
}

// What is below a folder, for the importer; the folder itself too, since it may be empty.
async function * entries (folder, name) {
  yield { path: name }
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    const below = `${name}/${entry.name}`
    if (entry.isDirectory()) {
      yield * entries(path, below)
    } else {
      yield { path: below, content: createReadStream(path) }
    }
  }
}

// Writes what a CID names to a path that does not exist.
export async function write (files, cid, path, signal) {
  const { type } = await files.stat(cid, { signal })
  if (type !== 'directory') {
    await pipeline(files.cat(cid, { signal }), createWriteStream(path, { flags: 'wx' }), { signal })
    return
  }
  await mkdir(path)
  for await (const entry of files.ls(cid, { signal })) {
    await write(files, entry.cid, join(path, entry.name), signal)
  }
}
