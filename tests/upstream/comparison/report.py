"""What is known to differ, what is new, and a file with all of it."""

import re
from collections import Counter, defaultdict

# Of each signature, so many requests are written.
SHOWN = 3


class Known:
    """The lines of `differences.compare`: a signature, in which `*` is anything, then ` # ` and its reason."""

    def __init__(self, file):
        self.patterns = []
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            signature, hash_, reason = line.rpartition(" # ")
            if not hash_:
                raise SystemExit(f"{file}:{number}: there is no reason")
            pattern = ".*".join(re.escape(part) for part in signature.strip().split("*"))
            self.patterns.append((re.compile(pattern, re.S), line, reason))
        self.used = set()

    def reason(self, signature):
        for pattern, line, reason in self.patterns:
            if pattern.fullmatch(signature):
                self.used.add(line)
                return reason
        return None


class Report:
    def __init__(self, known):
        self.known = known
        self.sent = Counter()
        self.found = defaultdict(list)

    def add(self, case, theirs, ours, differences):
        self.sent[case.family] += 1
        for class_, signature in differences:
            self.found[f"{class_}: {signature}"].append((case, theirs, ours))

    def write(self, file):
        """Everything, the new first and the most frequent first. Returns how many signatures are new."""
        groups = sorted(self.found.items(), key=lambda one: (-len(one[1]), one[0]))
        reasons = {signature: self.known.reason(signature) for signature in self.found}
        with open(file, "w") as out:
            for new in (True, False):
                for signature, cases in groups:
                    if (reasons[signature] is None) != new:
                        continue
                    families = ", ".join(sorted({case.family for case, _, _ in cases}))
                    out.write(f"{len(cases)} {signature}  ({families})\n" + ("" if new else f"    known: {reasons[signature]}\n"))
                    for case, theirs, ours in cases[: SHOWN if new else 0]:
                        out.write(f"    {case.method} {case.path[:200]}\n      {case.what}\n      there {brief(theirs)}\n      here  {brief(ours)}\n")
        self._print(reasons)
        return sum(reason is None for reason in reasons.values())

    def _print(self, reasons):
        print("sent: " + ", ".join(f"{count} {family}" for family, count in self.sent.items()))
        classes = defaultdict(lambda: [0, 0, 0])
        for signature, cases in self.found.items():
            row = classes[signature.split(":")[0]]
            row[0] += len(cases)
            row[1] += 1
            row[2] += reasons[signature] is None
        for class_, (requests, signatures, new) in sorted(classes.items()):
            print(f"{class_}: {requests} differences in {signatures} groups, {new} of them new")
        unused = [line for _, line, _ in self.known.patterns if line not in self.known.used]
        if unused:
            print(f"{len(unused)} lines of the known differences were not met")


def brief(answer):
    code, body = answer
    text = body.get("message", "") if isinstance(body, dict) and body.get("kind") == "Status" else ""
    return f"{code} {text[:600]}"
