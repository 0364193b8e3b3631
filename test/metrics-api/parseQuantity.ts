const SUFFIX_MILLI: Readonly<Record<string, bigint>> = {
  m: 1n,
  '': 1000n,
  k: 1000n ** 2n,
  M: 1000n ** 3n,
  G: 1000n ** 4n,
  T: 1000n ** 5n,
  P: 1000n ** 6n,
  E: 1000n ** 7n,
}

/** Reads a canonical quantity of whole digits back into milli. */
export function parseMilli(text: string): bigint {
  const match = /^(-?\d+)([mkMGTPE]?)$/.exec(text)
  const factor = SUFFIX_MILLI[match?.[2] ?? '?']
  if (match?.[1] === undefined || factor === undefined) throw new Error(`not canonical: ${text}`)
  return BigInt(match[1]) * factor
}
