// The exercises: is the reader's number the answer?

// What a reader may type for a number, read by recursive descent; nothing of it is run as code.
//   sum     = product {(+ | −) product}
//   product = signed {(* | /) signed}
//   signed  = (+ | −) signed | power
//   power   = value [^ signed]
//   value   = number | constant | function "(" sum ")" | √ value | "(" sum ")", each with % or without
// So −2^2 is −4. A comma is a decimal one, and spaces part thousands. What can be read in two ways is refused:
// 1,024, and 2π, 1/2 %, √1/2 and the like, which want a sign or parentheses.
const LONGEST = 200;              // characters, so that parentheses are never nested too deep
const CONSTANTS = new Map([
  ["e", Math.E], ["pi", Math.PI], ["π", Math.PI],
  ["½", 1 / 2], ["⅓", 1 / 3], ["⅔", 2 / 3], ["¼", 1 / 4], ["¾", 3 / 4],
]);
const FUNCTIONS = new Map([
  ["sqrt", Math.sqrt], ["exp", Math.exp], ["log", Math.log], ["ln", Math.log],
  ["sinh", Math.sinh], ["cosh", Math.cosh], ["tanh", Math.tanh],
]);
const plain = text => text.normalize("NFKC");
const SPELLINGS = [
  [/[\u200b-\u200f\u2060]/g, ""],          // without width: they come along when a number is copied
  [/[！-～]/g, plain],                        // of full width
  [/[⁺⁻]?[⁰¹²³⁴-⁹]+/g, raised => `^(${plain(raised)})`],
  [/[−–‐‑‒]/g, "-"], [/[·⋅×∙∗•]/g, "*"], [/[÷∕⁄]/g, "/"], [/\*\*/g, "^"],
];
const TOKEN = new RegExp([       // a number, a name, or a sign
  String.raw`(?=[.,]?\d)(?:[1-9]\d{0,2}(?:[\s'’_]\d{3})+(?!\d)|\d*)(?:\.\d*|,\d+)?(?:e[+-]?\d+)?`,
  String.raw`[\p{L}_][\p{L}\d_]*`,           // name
  String.raw`\S`,                             // sign
].join("|"), "giu");
const EITHER = /^[1-9]\d{0,2},\d{3}(?!\d)/;    // 1,024: a thousand and more, or one and a bit?

class Unreadable extends Error {}

function readNumber(text) {
  const refuse = reason => { throw new Unreadable(reason); };
  if (text.length > LONGEST) refuse(`it is longer than ${LONGEST} characters.`);
  const spelled = SPELLINGS.reduce((t, [found, spelling]) => t.replace(found, spelling), text);
  const tokens = spelled.match(TOKEN) ?? refuse("the field is empty.");
  let at = 0;
  const take = (...signs) => (signs.includes(tokens[at]) ? tokens[at++] : null);
  const expect = sign => take(sign) ?? refuse(`a “${sign}” is missing.`);
  const finite = (value, reason) => (Number.isFinite(value) ? value : refuse(reason));
  const unclear = sign => refuse(`parentheses must say what the ${sign} belongs to.`);
  const ofPercent = number => (tokens[at - 1] === "%" ? unclear("%") : number);

  function sum() {
    let total = product();
    for (let sign; (sign = take("+", "-"));) total += sign === "+" ? product() : -product();
    return total;
  }
  function product() {
    let result = signed();
    for (let sign; (sign = take("*", "/"));) {
      const next = sign === "*" ? signed() : ofPercent(signed());       // 1/2 % is 0.005, or 50?
      if (sign === "/" && next === 0) refuse("it divides by zero.");
      result = finite(sign === "*" ? result * next : result / next, "that number is too large.");
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
    return finite(base ** ofPercent(signed()), "that power is no real number, or too large.");
  }
  function value() {
    const result = number();
    return take("%") ? result / 100 : result;
  }
  function number() {
    const token = tokens[at++] ?? refuse("something is missing at its end.");
    if (token === "(") return inside();
    if (token === "√") return root();
    if (/^[.,]?\d/.test(token)) {
      if (EITHER.test(token)) refuse(`write ${token} without the comma, or with a point for it.`);
      const digits = token.replace(/[\s'’_]/g, "").replace(",", ".");
      return finite(Number(digits), "that number is too large.");
    }
    const name = token.toLowerCase();
    if (CONSTANTS.has(name)) return CONSTANTS.get(name);
    if (!/\p{L}/u.test(token)) refuse(`“${token}” cannot stand there.`);
    if (!FUNCTIONS.has(name)) refuse(`“${token}” is not known here.`);
    expect("(");
    const result = FUNCTIONS.get(name)(inside());
    return finite(result, `${token} of that is no real number, or too large.`);
  }
  function root() {
    const result = Math.sqrt(number());
    if (tokens[at - 1] !== ")" && /^[*/^%]/.test(tokens[at] ?? "")) unclear("√");     // √1/2: of 1, or of 1/2?
    return finite(result, "√ of that is no real number.");
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
    const gap = ([number]) => Math.abs(yours - number);
    const [known] = wrong.filter(one => gap(one) <= one[1]).sort((a, b) => gap(a) - gap(b));
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
