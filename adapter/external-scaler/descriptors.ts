/**
 * What the `.proto` files declare, as reflection tells it: each file's bytes, and which file declares a name.
 * The loader's descriptors differ in two ways from those of protoc, both of which clients refuse: names of types
 * are relative to where they are used, and the entries of maps have no name of their own.
 */
import type { PackageDefinition } from '@grpc/proto-loader'
import type {
  IDescriptorProto,
  IEnumDescriptorProto,
  IFileDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js'
import descriptors from 'protobufjs/ext/descriptor/index.js'

export interface Descriptors {
  /** Full names, sorted. */
  readonly services: readonly string[]
  file(name: string): Buffer | undefined
  /** The file that declares a service, method, message, field, enum or value of this full name. */
  containing(symbol: string): Buffer | undefined
}

/** `definition` as loaded with `keepCase`, so that names are those of the files. */
export function readDescriptors(definition: PackageDefinition): Descriptors {
  const byName = new Map<string, Buffer>()
  const bySymbol = new Map<string, Buffer>()
  const services: string[] = []
  for (const bytes of filesOf(definition)) {
    const file = descriptors.FileDescriptorProto.decode(bytes) as unknown as IFileDescriptorProto
    const scope = file.package ?? ''
    for (const message of file.messageType ?? []) nameEntries(message)
    const types = new Set(namesIn(file, scope))
    for (const message of file.messageType ?? [])
      qualify(message, `${scope}.${message.name}`, types)
    const whole = Buffer.from(descriptors.FileDescriptorProto.encode(file).finish())
    byName.set(file.name ?? '', whole)
    for (const name of types) bySymbol.set(name, whole)
    for (const { name } of file.service ?? []) services.push(`${scope}.${name}`)
  }
  return {
    services: services.toSorted(),
    file: (name) => byName.get(name),
    containing: (symbol) => bySymbol.get(symbol),
  }
}

/** Each file once; every message carries all files of its own load. */
function filesOf(definition: PackageDefinition): Iterable<Buffer> {
  const files = new Map<string, Buffer>()
  for (const each of Object.values(definition))
    if ('fileDescriptorProtos' in each)
      for (const bytes of each.fileDescriptorProtos as Buffer[])
        files.set(bytes.toString('latin1'), bytes)
  return files.values()
}

function nameEntries(message: IDescriptorProto): void {
  for (const nested of message.nestedType ?? []) {
    nameEntries(nested)
    if (nested.options?.mapEntry !== true) continue
    const field = message.field?.find(({ typeName }) => typeName === nested.name)
    nested.name = `${pascalCase(field?.name ?? nested.name ?? '')}Entry`
    if (field !== undefined) field.typeName = nested.name
  }
}

function pascalCase(name: string): string {
  return name.replaceAll(/(?:^|_)(.)/g, (_match, letter: string) => letter.toUpperCase())
}

function* namesIn(file: IFileDescriptorProto, scope: string): Iterable<string> {
  for (const message of file.messageType ?? []) yield* namesOfMessage(message, scope)
  for (const each of file.enumType ?? []) yield* namesOfEnum(each, scope)
  for (const { name, method } of file.service ?? []) {
    yield `${scope}.${name}`
    for (const each of method ?? []) yield `${scope}.${name}.${each.name}`
  }
}

function* namesOfMessage(message: IDescriptorProto, scope: string): Iterable<string> {
  const name = `${scope}.${message.name}`
  yield name
  for (const field of message.field ?? []) yield `${name}.${field.name}`
  for (const nested of message.nestedType ?? []) yield* namesOfMessage(nested, name)
  for (const each of message.enumType ?? []) yield* namesOfEnum(each, name)
}

/** Values are declared beside their enum. */
function* namesOfEnum({ name, value }: IEnumDescriptorProto, scope: string): Iterable<string> {
  yield `${scope}.${name}`
  for (const each of value ?? []) yield `${scope}.${each.name}`
}

function qualify(message: IDescriptorProto, name: string, types: ReadonlySet<string>): void {
  for (const field of message.field ?? [])
    if (field.typeName !== undefined && field.typeName !== '' && !field.typeName.startsWith('.'))
      field.typeName = `.${resolved(field.typeName, name, types)}`
  for (const nested of message.nestedType ?? []) qualify(nested, `${name}.${nested.name}`, types)
}

/** The innermost scope that has it. */
function resolved(typeName: string, scope: string, types: ReadonlySet<string>): string {
  for (let at = scope; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('.'), 0)))
    if (types.has(`${at}.${typeName}`)) return `${at}.${typeName}`
  return typeName
}
