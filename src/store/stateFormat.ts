/**
 * The format of a state file:
 *
 *     file   = "tideline-state 2\n" { length block } 0 SHA-256 (32 bytes, of all before it)
 *     block  = zstd( length json { bytes } )
 *     length = 32 bits, little-endian: bytes of what follows it
 *
 * `json` is an array of entries. What was learned are arrays of bytes, and in their place stands how long they are;
 * they follow the JSON in the same order. They never are text: that would be a third more, and would lie on the heap
 * of the engine, which has less room than the process.
 */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'

const HEADER = 'tideline-state 2\n'
const LENGTH = 4
const DIGEST = 32
/** What is packed at once has about so many bytes, and at least one entry. */
const BLOCK = 512 * 1024
/** A block that claims to be larger than this is damaged; an entry has 4 MB at most. */
const BLOCK_MAX = 64 * 1024 * 1024
/** Names the length of bytes in JSON. */
const BYTES = '\u0000bytes'

const pack = promisify(zstdCompress)
const unpack = promisify(zstdDecompress)

/**
 * Packed beside the ticks, which go on; memory holds some entries at a time. False where not all had room: then
 * nothing is asked for any more, as to tell the rest would hold up ticks for nothing.
 */
export async function writeEntries(
  file: FileHandle,
  entries: Iterable<unknown>,
  bytesMax: number,
): Promise<boolean> {
  const hash = createHash('sha256')
  let left = bytesMax - DIGEST - LENGTH
  const write = async (bytes: Uint8Array) => {
    hash.update(bytes)
    left -= bytes.length
    await file.writeFile(bytes)
  }
  await write(Buffer.from(HEADER))
  let whole = true
  for (const block of blocksOf(entries)) {
    const packed = await pack(block)
    whole = LENGTH + packed.length <= left
    if (!whole) break
    await write(Buffer.concat([lengthOf(packed), packed]))
  }
  await write(lengthOf(new Uint8Array()))
  await file.writeFile(hash.digest())
  return whole
}

/** Undefined where the file is damaged, or of another format. Fails where it cannot be read. */
export async function readEntries(path: string): Promise<readonly unknown[] | undefined> {
  const file = await open(path)
  try {
    const hash = createHash('sha256')
    const next = async (length: number) => {
      const bytes = await exactly(file, length)
      hash.update(bytes)
      return bytes
    }
    if ((await next(HEADER.length)).toString() !== HEADER) return undefined
    const entries: unknown[] = []
    for (;;) {
      const length = (await next(LENGTH)).readUInt32LE()
      if (length === 0) break
      if (length > BLOCK_MAX) return undefined
      const block = await unpack(await next(length), { maxOutputLength: BLOCK_MAX })
      entries.push(...entriesOf(block))
    }
    const digest = hash.digest()
    const told = await exactly(file, DIGEST)
    const { bytesRead: more } = await file.read(Buffer.alloc(1))
    return more === 0 && digest.equals(told) ? entries : undefined
  } catch (thrown) {
    if (isOfTheSystem(thrown)) throw thrown
    return undefined
  } finally {
    await file.close()
  }
}

/** What is read alone may fail so; damage makes other errors: of zstd, of JSON, of lengths. */
function isOfTheSystem(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown
}

async function exactly(file: FileHandle, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length)
  if (bytesRead < length) throw new RangeError('the file ends early')
  return buffer
}

function* blocksOf(entries: Iterable<unknown>): Generator<Uint8Array, void, undefined> {
  let texts: string[] = []
  let parts: Uint8Array[] = []
  let size = 0
  const block = () => {
    const json = Buffer.from(`[${texts.join(',')}]`)
    return Buffer.concat([lengthOf(json), json, ...parts])
  }
  for (const entry of entries) {
    const before = parts.length
    const text = JSON.stringify(entry, (_, value: unknown) => {
      if (!(value instanceof Uint8Array)) return value
      parts.push(value)
      return { [BYTES]: value.length }
    })
    texts.push(text)
    size += text.length
    for (const part of parts.slice(before)) size += part.length
    if (size < BLOCK) continue
    yield block()
    texts = []
    parts = []
    size = 0
  }
  if (texts.length > 0) yield block()
}

function entriesOf(block: Buffer): readonly unknown[] {
  let at = LENGTH + block.readUInt32LE()
  const json = block.toString('utf8', LENGTH, at)
  return JSON.parse(json, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || !(BYTES in value)) return value
    const from = at
    at += Number(value[BYTES])
    return block.subarray(from, at)
  }) as unknown[]
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH)
  length.writeUInt32LE(bytes.length)
  return length
}
