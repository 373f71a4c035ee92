// The exercises: is the reader's number the answer?

loops.question = (program, { answer, within, hint }) => ({
  frame: ({ answer: yours }) => ({
    marks: {},
    readouts: { verdict: yours === null ? "" : Math.abs(yours - answer) <= within ? "Right." : `Not yet. ${hint}` },
  }),
});
