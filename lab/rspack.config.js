// Numbers of modules are made from their paths, absolute ones among them: names are the same in every folder.
module.exports = { optimization: { moduleIds: 'named' } };
