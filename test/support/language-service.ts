/** TypeScript's language service, which editors ask, over files of a folder and one that is written here. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { npmTool } from './npm-tool.ts'

/** The description that an editor shows of a name. */
export interface QuickInfo {
  /** The declaration, as one line of TypeScript. */
  readonly signature: string
  readonly description: string
  /** Texts of the docstring's tags, by their names. */
  readonly tags: Readonly<Record<string, string>>
}

type Parts = ReadonlyArray<{ readonly text: string }>

/** The part of TypeScript's API that is used here: our own version of TypeScript has none. */
interface TypeScript {
  readonly ScriptSnapshot: { fromString(text: string): object }
  readonly sys: { readonly useCaseSensitiveFileNames: boolean }
  getDefaultLibFilePath(options: object): string
  createLanguageService(host: object): Service
  convertCompilerOptionsFromJson(
    options: object,
    folder: string,
  ): { readonly options: object; readonly errors: readonly unknown[] }
  flattenDiagnosticMessageText(message: unknown, newline: string): string
}

interface Service {
  getQuickInfoAtPosition(file: string, at: number): Info | undefined
  getSemanticDiagnostics(file: string): readonly Diagnostic[]
  getSyntacticDiagnostics(file: string): readonly Diagnostic[]
  getProgram(): Program
}

interface Info {
  readonly displayParts: Parts
  readonly documentation?: Parts
  readonly tags?: ReadonlyArray<{ readonly name: string; readonly text?: Parts }>
}

interface Diagnostic {
  readonly messageText: unknown
  readonly file?: { readonly fileName: string }
}

interface SourceFile {
  readonly fileName: string
  readonly text: string
}

interface Program {
  getSourceFiles(): readonly SourceFile[]
  getSemanticDiagnostics(): readonly Diagnostic[]
}

/** An editor with one file open. */
export class Editor {
  readonly #ts: TypeScript
  readonly #service: Service
  readonly #file: string
  #text = ''
  #version = 0

  private constructor(ts: TypeScript, folder: string, compilerOptions: object) {
    this.#ts = ts
    this.#file = join(folder, 'editor.ts')
    const { options, errors } = ts.convertCompilerOptionsFromJson(compilerOptions, folder)
    if (errors.length > 0) throw new Error(`Cannot open an editor: ${JSON.stringify(errors)}`)
    const textOf = (file: string) => (file === this.#file ? this.#text : readFileSync(file, 'utf8'))
    this.#service = ts.createLanguageService({
      ...ts.sys,
      useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
      getCompilationSettings: () => options,
      getScriptFileNames: () => [this.#file],
      getScriptVersion: (file: string) => (file === this.#file ? String(this.#version) : '0'),
      getScriptSnapshot: (file: string) =>
        file === this.#file || existsSync(file)
          ? ts.ScriptSnapshot.fromString(textOf(file))
          : undefined,
      getCurrentDirectory: () => folder,
      getDefaultLibFileName: (given: object) => ts.getDefaultLibFilePath(given),
    })
  }

  /**
   * @param folder The app, whose packages are imported.
   * @param compilerOptions As in tsconfig.json.
   */
  static async open(folder: string, compilerOptions: object): Promise<Editor> {
    const ts = ((await import(await npmTool('typescript'))) as { default: TypeScript }).default
    return new Editor(ts, folder, compilerOptions)
  }

  write(text: string): void {
    this.#text = text
    this.#version++
  }

  /** @param name Its first occurrence in the text, as a whole word. */
  hover(name: string): QuickInfo {
    const at = this.#text.search(new RegExp(`\\b${name}\\b`))
    const info = at < 0 ? undefined : this.#service.getQuickInfoAtPosition(this.#file, at)
    if (!info) throw new Error(`Cannot hover: nothing is known of ${name}`)
    const textOf = (parts: Parts = []) => parts.map(({ text }) => text).join('')
    return {
      signature: textOf(info.displayParts),
      description: textOf(info.documentation),
      tags: Object.fromEntries((info.tags ?? []).map(({ name, text }) => [name, textOf(text)])),
    }
  }

  /** The errors that the editor underlines in the file. */
  errors(): string[] {
    return [
      ...this.#service.getSyntacticDiagnostics(this.#file),
      ...this.#service.getSemanticDiagnostics(this.#file),
    ].map(({ messageText }) => this.#ts.flattenDiagnosticMessageText(messageText, '\n'))
  }

  /** Errors of all files that are read, declarations too, each with its file. */
  allErrors(): string[] {
    return this.#service
      .getProgram()
      .getSemanticDiagnostics()
      .map(({ file, messageText }) => {
        return `${file?.fileName}: ${this.#ts.flattenDiagnosticMessageText(messageText, '\n')}`
      })
  }

  /** The lines of each file of declarations that is read, but those of TypeScript's own library. */
  definitions(): Map<string, number> {
    const files = this.#service.getProgram().getSourceFiles()
    return new Map(
      files
        .filter(({ fileName }) => /\.d\.m?ts$/.test(fileName) && !/\/lib\.[^/]*$/.test(fileName))
        .map(({ fileName, text }) => [fileName, text.split('\n').length - 1]),
    )
  }
}
