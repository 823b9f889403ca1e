"""The fleet page in a real Chromium: it loads complete, follows a kill without a reload, reads on a
phone and in the dark, its console stays empty, and axe-core finds nothing in the way of who cannot see it
or has no mouse.

    page.py http://127.0.0.1:9600/ <folder for screenshots> <axe.min.js>
"""

import json
import os
import signal
import sys
import urllib.request

from browser import Browser

OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
page, shots, axe = sys.argv[1:]


def fleet():
    with OPEN(f"{page}api/fleet", timeout=10) as answer:
        return json.load(answer)


def accessible(how):
    """Every rule of axe-core, best practices too. It must look at much, or it looked at nothing."""
    found = browser.evaluate("axe.run(document, { resultTypes: ['violations', 'incomplete'] })")
    assert len(found["passes"]) > 15, f"{how}: axe tried {len(found['passes'])} rules"
    for rule in found["violations"]:
        nodes = [node["html"] + " " + (node.get("failureSummary") or "") for node in rule["nodes"][:3]]
        print(f"{how}: {rule['impact']} {rule['id']}, {len(rule['nodes'])} times: {nodes}", file=sys.stderr)
    assert not found["violations"], f"{how}: {[rule['id'] for rule in found['violations']]}"
    # What it could not decide, such as contrast over a gradient, is told.
    unsure = [f"{rule['id']} ({len(rule['nodes'])})" for rule in found["incomplete"]]
    print(f"{how}: axe passes {len(found['passes'])} rules, is unsure of {unsure or 'none'}")


# Complete without a script: what stands in the page is what the server knows.
with OPEN(page, timeout=10) as answer:
    plain = answer.read().decode()
    policy = answer.headers["content-security-policy"]
total = fleet()["shards"]["total"]
assert plain.count('<li class="ready o') == total, "the page without a script lacks shards"
assert "default-src 'none'" in policy and "http://" not in plain.replace(page, ""), "something from elsewhere"

browser = Browser()
try:
    browser.appear("light")
    browser.visit(page)
    browser.wait("the page is live", "document.getElementById('live')?.className == 'on'")
    cells = "document.querySelectorAll('.cells li.ready').length"
    browser.wait("every shard is shown ready", f"{cells} == {total}")
    browser.wait("events flow", "Number(document.querySelector('#flow b')?.textContent) > 0")
    browser.evaluate("window.stays = true")

    victim = next(p for p in fleet()["processes"] if p.get("gateway", {}).get("groups") and p.get("page") != page)
    os.kill(victim["pid"], signal.SIGKILL)
    lately = "document.getElementById('happenings').innerText"
    name = victim["process"]
    browser.wait("the loss is told", f"{lately}.includes({json.dumps(name + ' speaks no more')})")
    browser.wait("some shards are shown down", f"{cells} < {total}")
    browser.screenshot(f"{shots}/page-down.png")
    browser.evaluate(open(axe).read() + ";0")
    accessible("shards down")
    browser.wait("the takeover is told", f"/takes groups? [0-9, ]+ from {name}/.test({lately})", 120)
    browser.wait("every shard is ready again", f"{cells} == {total}", 120)
    assert browser.evaluate("window.stays"), "the page was loaded anew"

    # For who does not see it: landmarks, names, a language; nothing told by colour alone.
    for selector in ("html[lang]", "main", "h1", "[role=log][aria-labelledby]", "[role=alert]", "th[scope=row]"):
        assert browser.evaluate(f"!!document.querySelector('{selector}')"), f"no {selector}"
    named = "[...document.querySelectorAll('.cells li')].every(cell => /: \\w+, \\S+/.test(cell.textContent))"
    assert browser.evaluate(named), "a shard is told by its colour alone"

    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
        browser.appear(scheme, width)
        wide = browser.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} pixels wide on a screen of {width}"
        browser.screenshot(f"{shots}/page-{scheme}-{width}.png")
        accessible(f"{scheme}, {width} pixels")
    # The judge is judged: a picture without a word must be found.
    browser.evaluate("document.querySelector('main').append(document.createElement('img'))")
    ids = browser.evaluate("axe.run(document).then(found => found.violations.map(rule => rule.id))")
    assert "image-alt" in ids, f"axe overlooks a picture without a word: {ids}"
    assert not browser.errors, browser.errors
finally:
    browser.close()
print("ok: the page loads, follows a kill, fits a phone, axe finds nothing, and its console is empty")
