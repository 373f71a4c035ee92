// The exercises: is the reader's number the answer?

// What a reader may type for a number, read by recursive descent; nothing of it is run as code.
//   sum     = product {(+ | −) product}
//   product = signed {(* | /) signed}
//   signed  = (+ | −) signed | power
//   power   = value [^ signed]
//   value   = (number | constant | function "(" sum ")" | "(" sum ")") {%}
// So −2^2 is −4. A comma is a decimal one, and spaces part thousands.
const LONGEST = 200;              // characters, so that parentheses are never nested too deep
const CONSTANTS = new Map([["e", Math.E], ["pi", Math.PI], ["π", Math.PI]]);
const FUNCTIONS = new Map([
  ["sqrt", Math.sqrt], ["exp", Math.exp], ["log", Math.log], ["ln", Math.log],
]);
const SPELLINGS = [[/[−–]/g, "-"], [/[·⋅×∙]/g, "*"], [/÷/g, "/"], [/\*\*/g, "^"], [/√/g, "sqrt"]];
const TOKEN = new RegExp([       // a number, a name, or a sign
  String.raw`(?=[.,]?\d)(?:\d{1,3}(?:\s\d{3})+(?!\d)|\d*)(?:\.\d*|,\d+)?(?:e[+-]?\d+)?`,
  String.raw`[\p{L}_][\p{L}\d_]*`,           // name
  String.raw`\S`,                             // sign
].join("|"), "giu");
const EITHER = /^[1-9]\d{0,2},\d{3}(?!\d)/;    // 1,024: a thousand and more, or one and a bit?

class Unreadable extends Error {}

function readNumber(text) {
  const refuse = reason => { throw new Unreadable(reason); };
  if (text.length > LONGEST) refuse(`it is longer than ${LONGEST} characters.`);
  const spelled = SPELLINGS.reduce((t, [found, plain]) => t.replace(found, plain), text);
  const tokens = spelled.match(TOKEN) ?? refuse("the field is empty.");
  let at = 0;
  const take = (...signs) => (signs.includes(tokens[at]) ? tokens[at++] : null);
  const expect = sign => take(sign) ?? refuse(`a “${sign}” is missing.`);
  const finite = (value, reason) => (Number.isFinite(value) ? value : refuse(reason));

  function sum() {
    let total = product();
    for (let sign; (sign = take("+", "-"));) total += sign === "+" ? product() : -product();
    return total;
  }
  function product() {
    let result = signed();
    for (let sign; (sign = take("*", "/"));) {
      const next = signed();
      if (sign === "/" && next === 0) refuse("it divides by zero.");
      result = sign === "*" ? result * next : result / next;
    }
    return result;
  }
  function signed() {
    const sign = take("+", "-");
    return sign === null ? power() : sign === "+" ? signed() : -signed();
  }
  function power() {
    const base = value();
    if (take("^") === null) return base;
    return finite(base ** signed(), "that power is no real number, or too large.");
  }
  function value() {
    let result = number();
    while (take("%")) result /= 100;
    return result;
  }
  function number() {
    const token = tokens[at++] ?? refuse("something is missing at its end.");
    if (token === "(") return inside();
    if (/^[.,]?\d/.test(token)) {
      if (EITHER.test(token)) refuse(`write ${token} without the comma, or with a point for it.`);
      const digits = token.replace(/\s/g, "").replace(",", ".");
      return finite(Number(digits), "that number is too large.");
    }
    if (CONSTANTS.has(token)) return CONSTANTS.get(token);
    if (!FUNCTIONS.has(token)) refuse(`“${token}” is not known here.`);
    expect("(");
    const result = FUNCTIONS.get(token)(inside());
    return finite(result, `${token} of that is no real number, or too large.`);
  }
  function inside() {
    const result = sum();
    expect(")");
    return result;
  }

  const result = finite(sum(), "that number is too large.");
  if (at < tokens.length) refuse(`“${tokens[at]}” cannot stand there.`);
  return result;
}

// `wrong` lists typical wrong answers, [number, what to say]; the hints come one after the other.
loops.question = (program, { answer, within, exact, hints, wrong }) => {
  const tried = [];               // wrong texts, in the order in which they were tried
  const near = (number, target, room) => Math.abs(number - target) <= room;

  function verdict(text) {
    let yours;
    try {
      yours = readNumber(text);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return `Could not read that: ${error.message}`;
    }
    if (near(yours, answer, within)) return "Right.";
    const known = wrong.find(([number, room]) => near(yours, number, room));
    if (known) return known[2];
    if (answer !== 0 && near(-yours, answer, within)) return "The size is right. Look at the sign.";
    if (!exact && near(yours, answer, 0.02 * Math.abs(answer)))
      return "Nearly: the field wants more digits, or a step was rounded too soon.";
    if (!tried.includes(text)) tried.push(text);
    return `Not yet. ${hints[Math.min(tried.indexOf(text), hints.length - 1)]}`;
  }
  return {
    frame: ({ answer: text }) => ({
      marks: {},
      readouts: { verdict: text === null ? "" : verdict(String(text)) },
    }),
  };
};
