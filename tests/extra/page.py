"""The fleet page in a real Chromium: it loads complete, follows a kill without a reload, reads on a
phone and in the dark, and its console stays empty.

    page.py http://127.0.0.1:9600/ <folder for screenshots>
"""

import json
import os
import signal
import sys
import urllib.request

from browser import Browser

OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
page, shots = sys.argv[1], sys.argv[2]


def fleet():
    with OPEN(f"{page}api/fleet", timeout=10) as answer:
        return json.load(answer)


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
    assert not browser.errors, browser.errors
finally:
    browser.close()
print("ok: the page loads, follows a kill, fits a phone, and its console is empty")
