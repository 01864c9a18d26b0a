/** The syntax of Lua functions and expressions in options. */
import type { Node } from 'luaparse'
import * as v from 'valibot'
import { packages } from '../core/packages.ts'
import { text } from './fields.ts'

/**
 * The syntax error of a Lua function: `return function(message) … end`, or the function alone.
 * Undefined where there is none, as far as that can be told without running it.
 */
export function luaSyntaxError(text: string): string | undefined {
  const expression = bodyOf(`return ${text}`)
  const body = typeof expression === 'string' ? bodyOf(text) : expression
  if (typeof body === 'string') return `it is not valid Lua: ${body}`
  const last = body.at(-1)
  if (last?.type !== 'ReturnStatement' || last.arguments.length !== 1) return NO_FUNCTION
  // A name or a call may yield a function; a literal does not.
  return last.arguments[0]?.type.endsWith('Literal') ? NO_FUNCTION : undefined
}

const NO_FUNCTION = 'it must be "return function(message) … end"'

/** The statements of a chunk, or the parser's error. */
function bodyOf(text: string): readonly Node[] | string {
  try {
    const { parse } = packages.lua() as typeof import('luaparse')
    return parse(text, { luaVersion: '5.3', comments: false, encodingMode: 'none' }).body
  } catch (error) {
    return (error as Error).message
  }
}

/** A Lua function of a message. */
export const luaFunction = v.pipe(
  text,
  v.rawCheck(({ dataset, addIssue }) => {
    const error = dataset.typed ? luaSyntaxError(dataset.value) : undefined
    if (error !== undefined) addIssue({ message: error })
  }),
)

/** Lua that returns a value: `return kong.request.get_header("traceparent")`. */
export const luaChunk = v.pipe(
  text,
  v.rawCheck(({ dataset, addIssue }) => {
    const body = dataset.typed ? bodyOf(dataset.value) : []
    if (typeof body === 'string') addIssue({ message: `it is not valid Lua: ${body}` })
  }),
)
