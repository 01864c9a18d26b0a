/** `deno serve --allow-all --port 0 test/runtimes/deno.ts`, which says where it listens. */
import { kafkaConsume, kafkaReader } from '../../src/index.ts'
import { hostApp } from './host.ts'

export default hostApp({ kafkaConsume, kafkaReader })
