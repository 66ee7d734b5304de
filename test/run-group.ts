// Runs the test files that are named, one after the other, in this process; run-files.ts starts it.
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

// tap names its folders after the words of the command.
const files = process.argv.splice(2)
for (const file of files) await import(pathToFileURL(resolve(file)).href)
