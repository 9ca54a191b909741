/** Reads what a shared library of Linux needs and offers: 64-bit, little-endian ELF. */
import { readFile } from 'node:fs/promises'

const [SHT_DYNAMIC, SHT_DYNSYM] = [6, 11]
const [SHT_GNU_VERNEED, SHT_GNU_VERSYM] = [0x6ffffffe, 0x6fffffff]
const [DT_NULL, DT_NEEDED] = [0, 1]
const [STB_LOCAL, STB_WEAK] = [0, 2]
/** Symbol versions from here on are names; below are "local" and "global". */
const FIRST_VERSION = 2

/**
 * @param {string} path
 * @returns {Promise<{ machine: number, needed: string[], imported: { name: string, version: string | null,
 *   library: string | null, isWeak: boolean }[], exported: string[] }>} `needed`: libraries; `imported`, `exported`: symbols
 */
export async function readElf(path) {
  const bytes = await readFile(path)
  if (bytes.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') {
    throw new Error(`${path} is no 64-bit little-endian ELF file`)
  }
  const sections = readSections(bytes)
  const of = (type) => sections.find((section) => section.type === type)
  const dynsym = of(SHT_DYNSYM)
  const names = sections[dynsym.link]
  const versions = readVersions(bytes, sections, of(SHT_GNU_VERNEED))
  const versym = of(SHT_GNU_VERSYM)
  const imported = []
  const exported = []
  for (let index = 1; index < dynsym.size / 24; index += 1) {
    const at = dynsym.offset + index * 24
    const name = text(bytes, names, bytes.readUInt32LE(at))
    const binding = bytes[at + 4] >> 4
    if (binding === STB_LOCAL) continue // as symbols of sections are
    const isDefined = bytes.readUInt16LE(at + 6) !== 0
    const number = versym ? bytes.readUInt16LE(versym.offset + index * 2) & 0x7fff : 0
    const { version = null, library = null } =
      number < FIRST_VERSION ? {} : (versions.get(number) ?? {})
    if (isDefined) exported.push(name)
    else imported.push({ name, version, library, isWeak: binding === STB_WEAK })
  }
  return {
    machine: bytes.readUInt16LE(18),
    needed: readNeeded(bytes, sections, of(SHT_DYNAMIC)),
    imported,
    exported,
  }
}

function readSections(bytes) {
  const start = Number(bytes.readBigUInt64LE(40))
  return Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => {
    const at = start + index * 64
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      size: Number(bytes.readBigUInt64LE(at + 32)),
      link: bytes.readUInt32LE(at + 40),
      count: bytes.readUInt32LE(at + 44),
    }
  })
}

/** Number in the table of symbol versions -> name of the version and the library that has it. */
function readVersions(bytes, sections, section) {
  const versions = new Map()
  if (section === undefined) return versions
  const names = sections[section.link]
  let at = section.offset
  for (let left = section.count; left > 0; left -= 1) {
    const library = text(bytes, names, bytes.readUInt32LE(at + 4))
    let entry = at + bytes.readUInt32LE(at + 8)
    for (let entries = bytes.readUInt16LE(at + 2); entries > 0; entries -= 1) {
      const version = text(bytes, names, bytes.readUInt32LE(entry + 8))
      versions.set(bytes.readUInt16LE(entry + 6), { version, library })
      entry += bytes.readUInt32LE(entry + 12)
    }
    at += bytes.readUInt32LE(at + 12)
  }
  return versions
}

function readNeeded(bytes, sections, section) {
  const needed = []
  for (let at = section.offset; at < section.offset + section.size; at += 16) {
    const tag = Number(bytes.readBigInt64LE(at))
    if (tag === DT_NULL) break
    const value = Number(bytes.readBigUInt64LE(at + 8))
    if (tag === DT_NEEDED) needed.push(text(bytes, sections[section.link], value))
  }
  return needed
}

function text(bytes, names, index) {
  const start = names.offset + index
  return bytes.toString('latin1', start, bytes.indexOf(0, start))
}
