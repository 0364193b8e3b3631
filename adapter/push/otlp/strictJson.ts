import type { Field, Type } from 'protobufjs'

/**
 * Throws a `TypeError` that names the first field whose value is not what proto3's JSON mapping has for it.
 * Without this a text that is no number would be read as 0. Fields that are not known are nobody's business.
 * Gives how many objects there are, with a tenth of the values in lists. Throws a `RangeError` where it is more than
 * `most`.
 */
export function checkJson(type: Type, value: unknown, most: number): number {
  const budget = { left: most }
  checkObject(type, value, '', budget)
  if (budget.left < 0) throw new RangeError(`more than ${most} parts in one: send smaller batches`)
  return most - budget.left
}

interface Budget {
  left: number
}

function checkObject(type: Type, value: unknown, path: string, budget: Budget): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw mismatch(path === '' ? 'the body' : path, 'an object')
  budget.left -= 1
  for (const field of type.fieldsArray) {
    const { name, repeated } = field
    if (!Object.hasOwn(value, name)) continue
    const told: unknown = (value as Record<string, unknown>)[name]
    const at = path === '' ? name : `${path}.${name}`
    // As the mapping has it: null is a field that is left out.
    if (told === null) continue
    if (!repeated) checkOne(field, told, at, budget)
    else if (!Array.isArray(told)) throw mismatch(at, 'a list')
    else
      for (const one of told) {
        if (budget.left < 0) return
        budget.left -= 0.1
        checkOne(field, one, at, budget)
      }
  }
  for (const { oneof } of type.oneofsArray) {
    const told = oneof.filter((name) => Object.hasOwn(value, name) && isTold(value, name))
    if (told.length > 1) throw mismatch(path === '' ? told.join() : `${path}.${told.join()}`, 'one')
  }
}

function isTold(value: object, name: string): boolean {
  return (value as Record<string, unknown>)[name] !== null
}

function checkOne(field: Field, value: unknown, at: string, budget: Budget): void {
  const { resolvedType } = field.resolve()
  if (resolvedType !== null && 'fieldsArray' in resolvedType)
    return checkObject(resolvedType, value, at, budget)
  const form = FORMS[resolvedType === null ? field.type : 'enum'] ?? FORMS['string']
  if (form?.fits(value) === false) throw mismatch(at, form.name)
}

interface Form {
  readonly name: string
  fits(value: unknown): boolean
}

/** From `least` to `most`: what is beyond would be cut to the bits that the field has, and be another number. */
const whole = (least: bigint, most: bigint): Form => ({
  name: `a whole number from ${least} to ${most}`,
  fits: (value) => {
    const isWhole = typeof value === 'number' ? Number.isInteger(value) : isDigits(value)
    if (!isWhole) return false
    const exact = BigInt(value as number | string)
    return exact >= least && exact <= most
  },
})

function isDigits(value: unknown): value is string {
  return typeof value === 'string' && /^-?[0-9]{1,20}$/.test(value)
}

const SIGNED = whole(-(2n ** 63n), 2n ** 63n - 1n)
const DECIMAL = /^(?:-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|NaN|-?Infinity)$/

const FORMS: Readonly<Record<string, Form>> = {
  string: { name: 'a text', fits: (value) => typeof value === 'string' },
  bytes: { name: 'a text', fits: (value) => typeof value === 'string' },
  bool: { name: 'true or false', fits: (value) => typeof value === 'boolean' },
  double: {
    name: 'a number',
    fits: (value) =>
      typeof value === 'number' || (typeof value === 'string' && DECIMAL.test(value)),
  },
  // A name that is not known is that of nothing, as a number is.
  enum: {
    name: 'the number of an enumeration',
    fits: (value) => Number.isInteger(value) || typeof value === 'string',
  },
  int64: SIGNED,
  sfixed64: SIGNED,
  fixed64: whole(0n, 2n ** 64n - 1n),
  uint32: whole(0n, 2n ** 32n - 1n),
  int32: whole(-(2n ** 31n), 2n ** 31n - 1n),
}

function mismatch(at: string, name: string): TypeError {
  return new TypeError(`${at} must be ${name}`)
}
