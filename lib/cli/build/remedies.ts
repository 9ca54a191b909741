import { existsSync } from 'node:fs'

/** What compiling needs and a system's package manager brings. */
export type Part = 'cmake' | 'compiler' | 'make' | 'headers'

type Packages = Readonly<Record<Part, string>>

const DEBIAN: Packages = {
  cmake: 'cmake',
  compiler: 'g++',
  make: 'make',
  headers: 'python3-dev',
}
const FEDORA: Packages = {
  cmake: 'cmake',
  compiler: 'gcc-c++',
  make: 'make',
  headers: 'python3-devel',
}
const ALPINE: Packages = {
  cmake: 'cmake',
  compiler: 'g++',
  make: 'make',
  headers: 'python3-dev',
}
const ARCH: Packages = { cmake: 'cmake', compiler: 'gcc', make: 'make', headers: 'python' }
const SUSE: Packages = {
  cmake: 'cmake',
  compiler: 'gcc-c++',
  make: 'make',
  headers: 'python3-devel',
}

/** A file that tells the system, the command that installs packages there, and their names. */
const LINUX: readonly (readonly [file: string, command: string, packages: Packages])[] = [
  ['/etc/debian_version', 'apt-get install -y', DEBIAN],
  ['/etc/redhat-release', 'dnf install -y', FEDORA],
  ['/etc/alpine-release', 'apk add', ALPINE],
  ['/etc/arch-release', 'pacman -S --noconfirm', ARCH],
  ['/etc/SUSE-brand', 'zypper install -y', SUSE],
]

/** The one command that installs the parts, or undefined on a system that is not known. */
export function installParts(parts: readonly Part[]): string | undefined {
  if (process.platform === 'darwin') return installOnMac(parts)
  if (process.platform === 'win32') return installOnWindows(parts)
  const system = LINUX.find(([file]) => existsSync(file))
  if (system === undefined) return undefined
  const [, command, packages] = system
  const sudo = process.getuid?.() === 0 ? '' : 'sudo '
  return `${sudo}${command} ${parts.map((part) => packages[part]).join(' ')}`
}

function installOnMac(parts: readonly Part[]): string {
  const commands: string[] = []
  if (parts.includes('compiler') || parts.includes('make')) commands.push('xcode-select --install')
  const formulas = [
    ...(parts.includes('cmake') ? ['cmake'] : []),
    ...(parts.includes('headers') ? ['python@3.12'] : []),
  ]
  if (formulas.length > 0) commands.push(`brew install ${formulas.join(' ')}`)
  return commands.join(' && ')
}

function installOnWindows(parts: readonly Part[]): string {
  const commands: string[] = []
  if (parts.includes('cmake')) commands.push('winget install Kitware.CMake')
  if (parts.includes('compiler')) {
    commands.push('winget install Microsoft.VisualStudio.2022.BuildTools')
  }
  if (parts.includes('headers')) commands.push('winget install Python.Python.3.12')
  return commands.join(' && ')
}
