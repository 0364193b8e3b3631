/** Number of hash slots of a Redis Cluster. */
export const SLOTS = 16_384

/**
 * The hash slot of a key: CRC16 (XMODEM: polynomial 0x1021, start 0) of its hash tag, or of all of it.
 * The hash tag is what stands between the first `{` and the first `}` after it, where that is not empty.
 * Redis Cluster specification, "Key distribution model" and "Hash tags".
 */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key
  let crc = 0
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1)
      crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff
  }
  return crc % SLOTS
}
