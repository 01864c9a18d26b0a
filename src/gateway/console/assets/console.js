// @ts-check
/** The console page. */
import { pollStatus } from './gateway-status.js'
import { startShell } from './shell.js'

startShell()
pollStatus()
