import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import lz4 from 'lz4js'
import snappy from 'snappyjs'
import { messageOf, TidelineError } from '../../../errors.ts'

/** No batch that a broker takes by default is larger than a megabyte; what unpacks to more than this is no batch. */
const UNPACKED_MAX = 128 * 1024 * 1024

type Decompress = (packed: Buffer) => Promise<Buffer>

const gunzipped = promisify(gunzip)
const unzstd = promisify(zstdDecompress)

/** By the number in a batch's attributes. */
const CODECS: Readonly<Record<number, { readonly name: string; readonly unpack: Decompress }>> = {
  1: { name: 'gzip', unpack: (packed) => gunzipped(packed, { maxOutputLength: UNPACKED_MAX }) },
  2: { name: 'snappy', unpack: (packed) => Promise.resolve(unsnap(packed)) },
  3: {
    name: 'lz4',
    unpack: (packed) => Promise.resolve(Buffer.from(lz4.decompress(packed, lz4Bound(packed)))),
  },
  4: { name: 'zstd', unpack: (packed) => unzstd(packed, { maxOutputLength: UNPACKED_MAX }) },
}

/** Unpacks the records of a batch. Rejects with `bad-response` naming the codec. */
export async function unpacked(codec: number, packed: Buffer): Promise<Buffer> {
  const known = CODECS[codec]
  if (known === undefined)
    throw new TidelineError(
      'bad-response',
      `compression codec ${codec} is unknown: gzip, snappy, lz4 and zstd are read; set compression.type of the topic or its producers to one of them`,
    )
  try {
    return await known.unpack(packed)
  } catch (thrown) {
    throw new TidelineError(
      'bad-response',
      `a batch compressed with ${known.name} cannot be unpacked: ${messageOf(thrown)}`,
      thrown,
    )
  }
}

/** What the Java clients write before blocks of snappy, each with its length: 8 bytes, and two versions. */
const XERIAL = Buffer.from('\x82SNAPPY\0', 'latin1')
const XERIAL_HEADER = 16

function unsnap(packed: Buffer): Buffer {
  if (!packed.subarray(0, XERIAL.length).equals(XERIAL))
    return Buffer.from(snappy.uncompress(packed, UNPACKED_MAX))
  const blocks: Uint8Array[] = []
  let left = UNPACKED_MAX
  for (let at = XERIAL_HEADER; at + 4 <= packed.length;) {
    const length = packed.readUInt32BE(at)
    const block = snappy.uncompress(packed.subarray(at + 4, at + 4 + length), left)
    left -= block.length
    blocks.push(block)
    at += 4 + length
  }
  return Buffer.concat(blocks)
}

/** Sizes of blocks in an LZ4 frame's descriptor, and the flags that say what stands between blocks. */
const LZ4_BLOCK_SIZES = [0, 0, 0, 0, 64 * 1024, 256 * 1024, 1024 * 1024, 4 * 1024 * 1024]
const BLOCK_CHECKSUMS = 0x10
const CONTENT_SIZE = 0x08

/** Most that a frame can unpack to, counted by its blocks. */
function lz4Bound(frame: Buffer): number {
  const flags = frame[4] ?? 0
  const blockSize = LZ4_BLOCK_SIZES[((frame[5] ?? 0) >> 4) & 7] ?? 0
  let at = 7 + ((flags & CONTENT_SIZE) === 0 ? 0 : 8)
  let blocks = 0
  while (at + 4 <= frame.length) {
    const size = frame.readUInt32LE(at) & 0x7fff_ffff
    if (size === 0) break
    blocks += 1
    at += 4 + size + ((flags & BLOCK_CHECKSUMS) === 0 ? 0 : 4)
  }
  const most = blocks * blockSize
  if (most > UNPACKED_MAX) throw new Error(`it unpacks to more than ${UNPACKED_MAX} bytes`)
  return most
}
