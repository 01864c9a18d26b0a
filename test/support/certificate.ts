/** Self-signed certificates for tests of HTTPS, made by openssl. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface CertificateRequest {
  /** Default: the name of the files. */
  readonly names?: readonly string[]
  /** Days of validity. A negative number makes a certificate that has expired. */
  readonly days?: number
  readonly passphrase?: string
}

/** A folder of certificates, each `NAME.crt` with `NAME.key`. */
export class Certificates implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'certificates-'))

  file(name: string): string {
    return join(this.folder, name)
  }

  read(name: string): string {
    return readFileSync(this.file(name), 'utf8')
  }

  make(name: string, { names = [name], days = 5, passphrase }: CertificateRequest = {}): void {
    writeFileSync(
      this.file(`${name}.ext`),
      `subjectAltName=${names.map((each) => `DNS:${each}`).join(',')},IP:127.0.0.1\n`,
    )
    const encryption = passphrase === undefined ? ['-nodes'] : ['-passout', `pass:${passphrase}`]
    const input = passphrase === undefined ? [] : ['-passin', `pass:${passphrase}`]
    this.#openssl(
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
      ...[...encryption, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`],
    )
    this.#openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-signkey', `${name}.key`, ...input],
      ...['-days', String(days), '-extfile', `${name}.ext`, '-out', `${name}.crt`],
    )
  }

  #openssl(...args: string[]): void {
    const { exitCode, stderr } = Bun.spawnSync(['openssl', ...args], { cwd: this.folder })
    if (exitCode !== 0) throw new Error(`Cannot make certificates: ${stderr}`)
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
