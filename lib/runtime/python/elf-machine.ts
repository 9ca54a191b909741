/** For which processor a program is, and which Node.js itself runs on. */
import { open } from 'node:fs/promises'

/** `e_machine` of an ELF header, by the name that the kernel has for it. */
const ELF_MACHINES: Readonly<Record<number, string>> = {
  3: 'i386',
  22: 's390x',
  40: 'arm',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
}

/** Names of the processors that Node.js calls `x64` and `arm64`, as `uname` and CPython write them. */
const NODE_MACHINES: Readonly<Record<string, readonly string[]>> = {
  x64: ['x86_64', 'amd64', 'AMD64'],
  arm64: ['aarch64', 'arm64', 'ARM64'],
}

/**
 * Whether a processor that an interpreter names is certainly not the one that this Node.js is for. Names that
 * are not known, as those of 32-bit builds, are left to the size of pointers.
 */
export function isOtherMachine(machine: string): boolean {
  const own = NODE_MACHINES[process.arch]
  if (own === undefined || own.includes(machine)) return false
  return Object.values(NODE_MACHINES).some((names) => names.includes(machine))
}

/**
 * For which processor an ELF program is, when this Node.js is for another one; else null. A shell takes such a
 * program for a script, so that its failure alone does not tell.
 */
export async function foreignElfMachine(path: string): Promise<string | null> {
  const header = await readHeader(path)
  if (header?.readUInt32BE(0) !== 0x7f454c46) return null
  const isBigEndian = header[5] === 2
  const number = isBigEndian ? header.readUInt16BE(18) : header.readUInt16LE(18)
  const own = NODE_MACHINES[process.arch]
  const machine = ELF_MACHINES[number] ?? `machine ${number}`
  return own === undefined || own.includes(machine) ? null : machine
}

async function readHeader(path: string): Promise<Buffer | null> {
  try {
    const file = await open(path)
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0)
      return bytesRead === 20 ? buffer : null
    } finally {
      await file.close()
    }
  } catch {
    return null
  }
}
