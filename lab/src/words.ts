/** What the panel says, in English and French. A language pack would need a package of Python's, and a folder of files has none. */

const EN = {
  lang: 'en',
  native: 'Native',
  open: 'Show Native Panel',
  caption: 'What native code does in this kernel: GIL, threads, memory, libraries',
  checkKernel: 'Check for Native Problems',
  insert: (magic: string) => `Insert ${magic}`,
  category: 'Native',

  gilFree: 'GIL: free',
  gilHeld: (thread: string) => `GIL: ${thread}`,
  gilHelp: 'The thread that has the GIL runs Python, or native code that does not give it away; all others wait for it.',
  gilPast: (held: number, all: number) => `The GIL was held at ${held} of the last ${all} looks`,
  hasGil: 'has the GIL',
  waitsForGil: 'waits for the GIL',

  cellRuns: (cell: number | null, time: string) => `${cell === null ? 'A cell' : `In[${cell}]`} runs: ${time}`,
  stack: 'Stack, innermost first',
  unknownFunction: 'unknown function',
  moreFrames: (count: number) => (count === 1 ? '1 more' : `${count} more`),
  lessFrames: 'Fewer',
  interrupt: 'Interrupt',

  cpu: 'CPU',
  ofCpus: (cpus: number) => `of ${100 * cpus} %`,
  memory: 'Memory',
  cpuChart: (now: string) => `CPU time of the process in the last looks, now ${now} percent`,
  memoryChart: (now: string, most: string) => `Memory of the process in the last looks, now ${now}, ${most} at most`,

  pools: 'Thread pools',
  poolThreads: (threads: number) => (threads === 1 ? '1 thread' : `${threads} threads`),
  tooMany: (threads: number, cpus: number) =>
    `${threads} threads for ${cpus} CPU${cpus === 1 ? '' : 's'}: they take the CPUs from each other`,

  threads: 'Threads',
  thread: 'Thread and owner',
  cpuPercent: 'CPU %',
  state: 'State',
  mainThread: 'main thread',
  threadsOf: (count: number, name: string) => `${name} × ${count}`,
  ofWhichRun: (running: number) => `${running} run`,
  own: (count: number, cpu: string) => `The kernel’s own: ${count}, ${cpu} %`,
  states: {
    R: 'runs',
    S: 'sleeps',
    D: 'waits for a device',
    T: 'stopped',
    t: 'traced',
    Z: 'has ended',
    I: 'idle'
  } as { [letter: string]: string },

  libraries: 'Libraries of the last cell',
  arrays: 'Arrays',
  findings: 'Findings',
  ask: 'Ask the kernel',
  askAgain: 'Ask again',
  whenIdle: 'The kernel can be asked when its cell has ended',
  asking: 'Asking …',
  asOf: (cell: number) => `as of In[${cell}]`,
  noLibraries: 'The last cell loaded no native library.',
  noArrays: 'No variable has a buffer.',
  noFindings: 'Nothing is wrong.',
  librariesOf: (count: number) => (count === 1 ? '1 library' : `${count} libraries`),
  noPackage: 'no package',
  shared: 'shared',
  sharedWith: (names: string) => `shares memory with ${names}`,
  page: (code: string) => `Insert %diaphane ${code}, which shows the page of this finding`,
  severity: { error: 'error', warn: 'warning', info: 'note' } as { [severity: string]: string },
  whole: (magic: string) => `Insert ${magic} for the full report`,

  nothing: 'Open a notebook or a console, and this panel shows what native code does in its kernel.',
  foreign: (name: string) => `${name} does not tell what native code does. The kernel “Python (diaphane)” does:`,
  thisKernel: 'This kernel',
  foreignMagics: 'In a kernel of IPython, its magics work in this notebook, too, without this panel:',
  old: 'This kernel is a diaphane of an older version, which this panel cannot ask. Its magics work: begin with %threads.',
  waiting: 'Waiting for the kernel …',
  silent: 'The kernel does not answer. What stands here is from before.',
  silentNew: 'The kernel does not answer.',
  refused: 'The kernel has no time to answer:',
  dead: 'The kernel is dead.'
};

export type Words = typeof EN;

const FR: Words = {
  lang: 'fr',
  native: 'Natif',
  open: 'Afficher le panneau natif',
  caption: 'Ce que fait le code natif dans ce noyau : GIL, threads, mémoire, bibliothèques',
  checkKernel: 'Chercher des problèmes natifs',
  insert: magic => `Insérer ${magic}`,
  category: 'Natif',

  gilFree: 'GIL : libre',
  gilHeld: thread => `GIL : ${thread}`,
  gilHelp: 'Le thread qui a le GIL exécute du Python, ou du code natif qui ne le rend pas ; tous les autres l’attendent.',
  gilPast: (held, all) => `Le GIL était pris à ${held} des ${all} derniers regards`,
  hasGil: 'a le GIL',
  waitsForGil: 'attend le GIL',

  cellRuns: (cell, time) => `${cell === null ? 'Une cellule' : `In[${cell}]`} depuis ${time}`,
  stack: 'Pile, du plus profond au plus haut',
  unknownFunction: 'fonction inconnue',
  moreFrames: count => (count === 1 ? '1 de plus' : `${count} de plus`),
  lessFrames: 'Moins',
  interrupt: 'Interrompre',

  cpu: 'CPU',
  ofCpus: cpus => `de ${100 * cpus} %`,
  memory: 'Mémoire',
  cpuChart: now => `Temps CPU du processus aux derniers regards, maintenant ${now} pour cent`,
  memoryChart: (now, most) => `Mémoire du processus aux derniers regards, maintenant ${now}, au plus ${most}`,

  pools: 'Pools de threads',
  poolThreads: threads => (threads === 1 ? '1 thread' : `${threads} threads`),
  tooMany: (threads, cpus) => `${threads} threads pour ${cpus} CPU : ils se prennent les CPU les uns aux autres`,

  threads: 'Threads',
  thread: 'Thread, à qui',
  cpuPercent: 'CPU %',
  state: 'État',
  mainThread: 'thread principal',
  threadsOf: (count, name) => `${name} × ${count}`,
  ofWhichRun: running => (running === 1 ? '1 actif' : `${running} actifs`),
  own: (count, cpu) => `Ceux du noyau : ${count}, ${cpu} %`,
  states: {
    R: 's’exécute',
    S: 'dort',
    D: 'attend un périphérique',
    T: 'arrêté',
    t: 'tracé',
    Z: 'terminé',
    I: 'inactif'
  },

  libraries: 'Bibliothèques chargées',
  arrays: 'Tableaux',
  findings: 'Diagnostics',
  ask: 'Demander au noyau',
  askAgain: 'Redemander',
  whenIdle: 'Le noyau pourra répondre quand sa cellule sera terminée',
  asking: 'Question en cours …',
  asOf: cell => `après In[${cell}]`,
  noLibraries: 'La dernière cellule n’a chargé aucune bibliothèque native.',
  noArrays: 'Aucune variable n’a de tampon.',
  noFindings: 'Rien à signaler.',
  librariesOf: count => (count === 1 ? '1 bibliothèque' : `${count} bibliothèques`),
  noPackage: 'sans paquet',
  shared: 'partagé',
  sharedWith: names => `partage sa mémoire avec ${names}`,
  page: code => `Insérer %diaphane ${code}, qui montre la page de ce diagnostic`,
  severity: { error: 'erreur', warn: 'avertissement', info: 'note' },
  whole: magic => `Insérer ${magic} pour le rapport complet`,

  nothing: 'Ouvrez un notebook ou une console, et ce panneau montre ce que fait le code natif dans son noyau.',
  foreign: name => `${name} ne dit pas ce que fait le code natif. Le noyau « Python (diaphane) » le dit :`,
  thisKernel: 'Ce noyau',
  foreignMagics: 'Dans un noyau IPython, ses magics fonctionnent aussi dans ce notebook, sans ce panneau :',
  old: 'Ce noyau est un diaphane d’une version plus ancienne, que ce panneau ne peut pas interroger. Ses magics fonctionnent : commencez par %threads.',
  waiting: 'En attente du noyau …',
  silent: 'Le noyau ne répond pas. Ce qui est affiché date d’avant.',
  silentNew: 'Le noyau ne répond pas.',
  refused: 'Le noyau n’a pas le temps de répondre :',
  dead: 'Le noyau est mort.'
};

/** The words of a language, `fr_FR` or `fr` as JupyterLab writes it; English where there are none. */
export function words(language: string | undefined): Words {
  return language?.toLowerCase().startsWith('fr') ? FR : EN;
}
