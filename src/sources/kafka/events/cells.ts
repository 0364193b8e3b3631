/** What is counted in one bucket of event time, by the values of the labels. */

/** Of one set of label values in one bucket. */
export interface Cell {
  count: number
  readonly values: ValueCell[]
}

/** Of one number that events carry: as a histogram has it, `buckets` not cumulative, the last beyond all bounds. */
export interface ValueCell {
  sum: number
  readonly buckets: number[]
}

/** Cells by the values of the labels, as `keyOf` writes them. */
export type Bucket = Map<string, Cell>

/** Label values as one text; different ones give different texts. */
export function keyOf(labels: readonly string[]): string {
  return labels.length === 1 ? (labels[0] ?? '') : JSON.stringify(labels)
}

export function labelsOf(key: string, count: number): readonly string[] {
  return count === 1 ? [key] : (JSON.parse(key) as string[])
}

/** `bounds` of each number. */
export function emptyCell(bounds: readonly (readonly number[])[]): Cell {
  return {
    count: 0,
    values: bounds.map((of) => ({ sum: 0, buckets: Array<number>(of.length + 1).fill(0) })),
  }
}

export function addTo(
  cell: Cell,
  values: readonly number[],
  bounds: readonly (readonly number[])[],
) {
  cell.count += 1
  for (let index = 0; index < bounds.length; index += 1) {
    const of = cell.values[index]
    const value = values[index] ?? 0
    if (of === undefined) continue
    of.sum += value
    const within = bounds[index]?.findIndex((bound) => value <= bound) ?? -1
    const at = within < 0 ? of.buckets.length - 1 : within
    of.buckets[at] = (of.buckets[at] ?? 0) + 1
  }
}

type Written = readonly [
  key: string,
  count: number,
  ...values: (readonly [number, readonly number[]])[],
]

/** The same counts give the same text, in whatever order they came. */
export function writeBucket(bucket: Bucket): string {
  const cells = [...bucket].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify(
    cells.map(([key, { count, values }]): Written => [
      key,
      count,
      ...values.map(({ sum, buckets }) => [sum, buckets] as const),
    ]),
  )
}

export function readBucket(content: string): Bucket {
  const written = JSON.parse(content) as readonly Written[]
  return new Map(
    written.map(([key, count, ...values]) => [
      key,
      { count, values: values.map(([sum, buckets]) => ({ sum, buckets: [...buckets] })) },
    ]),
  )
}
