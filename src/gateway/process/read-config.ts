import { accessSync, constants, statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import packageJson from '../../../package.json' with { type: 'json' }
import { KafkaConsumeError } from '../../core/errors.ts'
import {
  clusterWithoutTopics,
  flagOptions,
  type GatewayConfig,
  type GivenFile,
  gatewayHelp,
  givenFiles,
  readCommandLine,
  readGatewayConfig,
} from '../settings/gateway-settings.ts'
import { namedTopics } from './cluster-topics.ts'
import { assertKafkaFiles } from './kafka-files.ts'

/**
 * Reads the settings of this process from its command line and environment. Exits where there is
 * nothing to run: with 0 after `--help` and `--version`, with 2 after invalid settings.
 */
export async function readConfigOrExit(): Promise<GatewayConfig> {
  try {
    const { tokens } = parseArgs({ options: flagOptions, strict: false, tokens: true })
    const commandLine = readCommandLine(tokens)
    if (commandLine.show === undefined) return await readConfig(commandLine.flags)
    console.log(commandLine.show === 'help' ? gatewayHelp() : packageJson.version)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof KafkaConsumeError)) throw error
    console.error(error.message)
    process.exit(2)
  }
}

/** @throws KafkaConsumeError INVALID_OPTIONS; where only the topics are missing it names those of the cluster. */
async function readConfig(flags: Readonly<Record<string, string>>): Promise<GatewayConfig> {
  try {
    const config = readGatewayConfig(flags, process.env)
    const files = givenFiles(flags, process.env)
    for (const file of files) assertReadable(file)
    assertKafkaFiles(files)
    return config
  } catch (error) {
    const cluster = clusterWithoutTopics(flags, process.env)
    if (!cluster || !(error instanceof KafkaConsumeError)) throw error
    const message = `${error.message}. ${await namedTopics(cluster)}`
    throw new KafkaConsumeError(error.code, message, { cause: error })
  }
}

/** @throws KafkaConsumeError INVALID_OPTIONS, which names the setting. */
function assertReadable({ path, error }: GivenFile): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) throw error('it does not exist')
  if (found.isDirectory()) throw error('it is a folder')
  try {
    accessSync(path, constants.R_OK)
  } catch {
    throw error('this user may not read it')
  }
}
