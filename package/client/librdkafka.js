// Loads the addon: the one that was compiled in this folder, or that of the platform's package.
const { loadAddon } = require('./addon.js')

module.exports = loadAddon(__dirname)
