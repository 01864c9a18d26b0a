import { parseArgs } from 'node:util'
import packageJson from '../../../package.json' with { type: 'json' }
import { KafkaConsumeError } from '../../core/errors.ts'
import {
  type CommandLine,
  flagOptions,
  type GatewayConfig,
  gatewayHelp,
  readCommandLine,
  readGatewayConfig,
} from '../settings/gateway-settings.ts'

/**
 * Reads the settings of this process from its command line and environment. Exits where there is
 * nothing to run: with 0 after `--help` and `--version`, with 2 after invalid settings.
 */
export function readConfigOrExit(): GatewayConfig {
  try {
    const { tokens } = parseArgs({ options: flagOptions, strict: false, tokens: true })
    const commandLine: CommandLine = readCommandLine(tokens)
    if (commandLine.show === undefined) return readGatewayConfig(commandLine.flags, process.env)
    console.log(commandLine.show === 'help' ? gatewayHelp() : packageJson.version)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof KafkaConsumeError)) throw error
    console.error(error.message)
    process.exit(2)
  }
}
