"""slixmpp, a stock XMPP library, against a running server.

Run by `go run ./test/interop`; by hand:

    chancery dev --json > ready.json &
    CHANCERY_READY=ready.json python3 test/interop/slixmpp_test.py -v
"""

import asyncio
import json
import os
import ssl
import unittest
import uuid

import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.xmlstream import ET

with open(os.environ["CHANCERY_READY"]) as f:
    READY = json.loads(f.readline())
PEOPLE = [a for a in READY["accounts"] if not a["admin"]][:2]
ROMEO, JULIET = (a["jid"] for a in PEOPLE)
PASSWORDS = {a["jid"]: a["password"] for a in PEOPLE}
PATIENCE = 10  # seconds

PLUGINS = ["xep_0012", "xep_0030", "xep_0049", "xep_0054", "xep_0092", "xep_0191", "xep_0198", "xep_0199", "xep_0202", "xep_0280",
           "xep_0313", "xep_0352"]


class Refused(Exception):
    pass


class Client(slixmpp.ClientXMPP):
    """A logged-in client that queues what comes, so that tests can wait for it."""

    def __init__(self, jid, resource, trust=True, mech=None, tls=None, resumable=False):
        super().__init__(f"{jid}/{resource}", PASSWORDS[jid])
        for name in PLUGINS:
            if name == "xep_0198" and not resumable:
                continue
            self.register_plugin(name)
        self.ca_certs = READY["ca_file"] if trust else None
        self.tls = tls
        if mech:
            self.plugin["feature_mechanisms"].use_mech = mech
        self.auto_authorize = self.auto_subscribe = None
        self.messages, self.errors, self.presences, self.events = (asyncio.Queue() for _ in range(4))
        self.auth = None
        self.add_event_handler("message", self.messages.put_nowait)
        self.add_event_handler("message_error", self.errors.put_nowait)
        self.add_event_handler("carbon_received", lambda m: self.messages.put_nowait(m["carbon_received"]))
        self.add_event_handler("carbon_sent", lambda m: self.messages.put_nowait(m["carbon_sent"]))
        self.add_event_handler("presence", self.presences.put_nowait)
        for name in ["roster_update", "session_resumed", "sm_enabled", "sm_failed", "blocked", "unblocked"]:
            self.add_event_handler(name, lambda e, name=name: self.events.put_nowait((name, e)))
        self.add_event_handler("auth_success", self._authenticated)

    def _authenticated(self, _):
        self.auth = self.plugin["feature_mechanisms"].mech.name

    def get_ssl_context(self):
        context = super().get_ssl_context()
        context.check_hostname, context.verify_mode = True, ssl.CERT_REQUIRED
        if self.tls:
            context.maximum_version = self.tls
        return context

    async def login(self, direct=False):
        host, port = READY["c2s_tls" if direct else "c2s"].rsplit(":", 1)
        self.enable_direct_tls, self.enable_starttls, self.enable_plaintext = direct, not direct, False
        over = asyncio.get_running_loop().create_future()
        for name in ["session_start", "ssl_invalid_chain", "failed_all_auth", "connection_failed"]:
            self.add_event_handler(name, lambda e, name=name: over.done() or over.set_result(name), disposable=True)
        self.connect(host, int(port))
        outcome = await asyncio.wait_for(over, PATIENCE)
        if outcome != "session_start":
            await self.disconnect()
            raise Refused(outcome)
        return self

    async def online(self):
        await self.get_roster()
        self.send_presence()
        await self.gets_presence(self.boundjid.full)
        return self

    async def leave(self):
        await self.disconnect()

    async def gets_message(self, **wanted):
        return await self.some(self.messages, **wanted)

    async def gets_presence(self, sender, kind="available"):
        while True:
            p = await asyncio.wait_for(self.presences.get(), PATIENCE)
            if p.xml.get("type", "available") == kind and str(p["from"]) in (sender, slixmpp.JID(sender).bare):
                return p

    async def gets_event(self, wanted):
        while True:
            name, e = await asyncio.wait_for(self.events.get(), PATIENCE)
            if name == wanted:
                return e

    async def some(self, queue, body):
        while True:
            m = await asyncio.wait_for(queue.get(), PATIENCE)
            if m["body"] == body:
                return m

    async def quiet(self):
        """A round trip: what was under way has come. Returns the bodies that did."""
        await self.plugin["xep_0199"].send_ping(self.boundjid.domain)
        bodies = []
        while not self.messages.empty():
            bodies.append(self.messages.get_nowait()["body"])
        return bodies


def text(word):
    return f"{word} {uuid.uuid4()}"


class Login(unittest.IsolatedAsyncioTestCase):
    async def login(self, *args, direct=False, **kwargs):
        c = await Client(ROMEO, "login", *args, **kwargs).login(direct)
        self.addAsyncCleanup(c.leave)
        return c

    async def test_starttls_is_verified_and_scram_is_used(self):
        c = await self.login()
        self.assertTrue(c.auth.startswith("SCRAM-SHA-"), c.auth)
        self.assertEqual(c.socket.version(), "TLSv1.3")
        print("   ", c.auth, c.socket.version(), c.socket.cipher()[0])

    async def test_direct_tls_is_verified(self):
        await self.login(direct=True)

    async def test_tls_1_2(self):
        c = await self.login(tls=ssl.TLSVersion.TLSv1_2)
        self.assertEqual(c.socket.version(), "TLSv1.2")
        print("   ", c.auth)

    async def test_each_family_of_scram(self):
        for mech in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]:
            c = await self.login(mech=mech)
            self.assertEqual(c.auth, mech)

    async def test_plain_inside_tls(self):
        c = await self.login(mech="PLAIN")
        self.assertEqual(c.auth, "PLAIN")

    async def test_without_the_ca_the_client_refuses(self):
        with self.assertRaisesRegex(Refused, "ssl_invalid_chain"):
            await self.login(trust=False)

    async def test_a_wrong_password_is_refused(self):
        c = Client(ROMEO, "login")
        c.credentials["password"] = "not " + PASSWORDS[ROMEO]
        c.plugin["feature_mechanisms"].use_mech = "SCRAM-SHA-1"
        with self.assertRaisesRegex(Refused, "failed_all_auth"):
            await c.login()


class Two(unittest.IsolatedAsyncioTestCase):
    """Tests with romeo and juliet online, each subscribed to the other."""

    async def asyncSetUp(self):
        self.romeo = await self.client(ROMEO, "orchard")
        self.juliet = await self.client(JULIET, "balcony")
        for c in (self.romeo, self.juliet):
            await c.online()

    async def client(self, jid, resource, **kwargs):
        c = await Client(jid, resource, **kwargs).login()
        self.addAsyncCleanup(c.leave)
        return c

    async def befriend(self):
        for a, b in ((self.romeo, self.juliet), (self.juliet, self.romeo)):
            if b.boundjid.bare in a.client_roster and a.client_roster[b.boundjid.bare]["subscription"] in ("to", "both"):
                continue
            a.send_presence_subscription(b.boundjid.bare)
            await b.gets_presence(a.boundjid.bare, "subscribe")
            b.send_presence_subscription(a.boundjid.bare, ptype="subscribed")
            await a.gets_presence(b.boundjid.bare, "subscribed")

    async def estrange(self):
        for c, other in ((self.romeo, JULIET), (self.juliet, ROMEO)):
            await c.get_roster()
            if c.client_roster[other]["subscription"] != "none" or other in c.client_roster.keys():
                await c.update_roster(other, subscription="remove")


class Presence(Two):
    async def test_roster_subscription_and_presence(self):
        await self.estrange()
        await self.romeo.update_roster(JULIET, name="Juliet", groups=["Verona"])
        await self.befriend()
        await self.romeo.get_roster()
        item = self.romeo.client_roster[JULIET]
        self.assertEqual((item["name"], item["groups"], item["subscription"]), ("Juliet", ["Verona"], "both"))
        self.juliet.send_presence(pshow="away", pstatus="on the balcony")
        p = await self.romeo.gets_presence(self.juliet.boundjid.full)
        while p["status"] != "on the balcony":
            p = await self.romeo.gets_presence(self.juliet.boundjid.full)
        self.assertEqual(p["show"], "away")
        await self.juliet.disconnect()
        await self.romeo.gets_presence(self.juliet.boundjid.full, "unavailable")

    async def test_a_contact_who_comes_online_is_seen(self):
        await self.befriend()
        phone = await self.client(JULIET, "phone")
        await phone.online()
        await self.romeo.gets_presence(phone.boundjid.full)


class Messages(Two):
    async def test_messages_go_both_ways(self):
        there, back = text("there"), text("back")
        self.romeo.send_message(JULIET, there, mtype="chat")
        m = await self.juliet.gets_message(body=there)
        self.assertEqual(m["from"], self.romeo.boundjid)
        m.reply(back).send()
        m = await self.romeo.gets_message(body=back)
        self.assertEqual(m["from"], self.juliet.boundjid)

    async def test_odd_characters_arrive_as_they_were(self):
        odd = text("<&>'\"]]> \U0001f339 \u202e tab\there é")
        self.romeo.send_message(JULIET, odd, mtype="chat")
        await self.juliet.gets_message(body=odd)

    async def test_carbons_reach_the_other_resources(self):
        desk, phone = await self.client(ROMEO, "desk"), await self.client(JULIET, "phone")
        for c in (desk, phone):
            await c.online()
            await c.plugin["xep_0280"].enable()
        body = text("carbon")
        self.romeo.send_message(self.juliet.boundjid, body, mtype="chat")
        await self.juliet.gets_message(body=body)
        sent, received = await desk.gets_message(body=body), await phone.gets_message(body=body)
        self.assertEqual(sent["to"], self.juliet.boundjid)
        self.assertEqual(received["from"], self.romeo.boundjid)

    async def test_offline_messages_wait(self):
        body = text("later")
        await self.befriend()
        await self.juliet.disconnect()
        await self.romeo.gets_presence(self.juliet.boundjid.full, "unavailable")
        self.romeo.send_message(JULIET, body, mtype="chat")
        await self.romeo.quiet()
        again = await self.client(JULIET, "later")
        await again.online()
        m = await again.gets_message(body=body)
        self.assertIsNotNone(m.xml.find("{urn:xmpp:delay}delay"))

    async def test_the_archive_has_both_sides_in_order(self):
        bodies = [text(str(i)) for i in range(7)]
        for i, body in enumerate(bodies):
            a, b = (self.romeo, self.juliet) if i % 2 == 0 else (self.juliet, self.romeo)
            a.send_message(b.boundjid.bare, body, mtype="chat")
            await b.gets_message(body=body)
        for c, other in ((self.romeo, JULIET), (self.juliet, ROMEO)):
            got = [m["mam_result"]["forwarded"]["stanza"]["body"] async for m in c.plugin["xep_0313"].iterate(with_jid=slixmpp.JID(other), rsm={"max": 3})]
            self.assertEqual(got[-7:], bodies)
            last = [m["mam_result"]["forwarded"]["stanza"]["body"] async for m in c.plugin["xep_0313"].iterate(with_jid=slixmpp.JID(other), reverse=True, rsm={"max": 3}, total=3)]
            self.assertEqual(last[:3], bodies[:-4:-1])

    async def test_blocking(self):
        body = text("blocked")
        await self.juliet.plugin["xep_0191"].get_blocked()  # whoever asked for the list is told of changes
        await self.juliet.plugin["xep_0191"].block({slixmpp.JID(ROMEO)})
        try:
            await self.juliet.gets_event("blocked")
            self.assertIn(slixmpp.JID(ROMEO), await self.juliet.plugin["xep_0191"].get_blocked_jids())
            self.romeo.send_message(JULIET, body, mtype="chat")
            error = await asyncio.wait_for(self.romeo.errors.get(), PATIENCE)
            self.assertEqual(error["error"]["condition"], "service-unavailable")
            self.assertNotIn(body, await self.juliet.quiet())
        finally:
            await self.juliet.plugin["xep_0191"].unblock({slixmpp.JID(ROMEO)})
        self.romeo.send_message(JULIET, body, mtype="chat")
        await self.juliet.gets_message(body=body)


class Resumption(Two):
    async def test_a_cut_connection_is_resumed_and_nothing_is_lost(self):
        phone = await self.client(JULIET, "phone", resumable=True)
        await phone.gets_event("sm_enabled")
        await phone.online()
        before, meanwhile, after = text("before"), text("meanwhile"), text("after")
        self.romeo.send_message(phone.boundjid, before, mtype="chat")
        await phone.gets_message(body=before)
        phone.transport.abort()  # the network is gone; nobody says goodbye
        await phone.wait_until("disconnected", PATIENCE)
        self.romeo.send_message(phone.boundjid, meanwhile, mtype="chat")
        await self.romeo.quiet()
        host, port = READY["c2s"].rsplit(":", 1)
        phone.connect(host, int(port))
        await phone.gets_event("session_resumed")
        await phone.gets_message(body=meanwhile)
        phone.send_message(self.romeo.boundjid, after, mtype="chat")
        await self.romeo.gets_message(body=after)


class Services(Two):
    async def test_disco(self):
        info = await self.romeo.plugin["xep_0030"].get_info(READY["domain"])
        features = info["disco_info"]["features"]
        for want in ["http://jabber.org/protocol/disco#info", "urn:xmpp:ping", "urn:xmpp:blocking", "urn:xmpp:carbons:2", "vcard-temp",
                     "jabber:iq:version", "urn:xmpp:time"]:
            self.assertIn(want, features)
        self.assertIn(("server", "im"), [(c, t) for c, t, *_ in info["disco_info"]["identities"]])
        own = await self.romeo.plugin["xep_0030"].get_info(ROMEO)
        self.assertIn("urn:xmpp:mam:2", own["disco_info"]["features"])
        await self.romeo.plugin["xep_0030"].get_items(READY["domain"])

    async def test_ping(self):
        for to in (READY["domain"], self.juliet.boundjid):
            self.assertGreater(await self.romeo.plugin["xep_0199"].ping(to), 0)

    async def test_version_and_time(self):
        v = await self.romeo.plugin["xep_0092"].get_version(READY["domain"])
        self.assertTrue(v["software_version"]["name"])
        t = await self.romeo.plugin["xep_0202"].get_entity_time(READY["domain"])
        self.assertRegex(t.xml.find(".//{urn:xmpp:time}utc").text, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

    async def test_vcard(self):
        name = text("Romeo")
        card = self.romeo.plugin["xep_0054"].make_vcard()
        card["FN"] = name
        await self.romeo.plugin["xep_0054"].publish_vcard(jid=self.romeo.boundjid.bare, vcard=card)
        got = await self.juliet.plugin["xep_0054"].get_vcard(ROMEO, cached=False)
        self.assertEqual(got["vcard_temp"]["FN"], name)

    async def test_private_storage(self):
        value = text("note")
        iq = self.romeo.make_iq_set()
        query = ET.SubElement(iq.xml, "{jabber:iq:private}query")
        ET.SubElement(query, "{urn:example:note}note").text = value
        await iq.send()
        iq = self.romeo.make_iq_get()
        query = ET.SubElement(iq.xml, "{jabber:iq:private}query")
        ET.SubElement(query, "{urn:example:note}note")
        self.assertEqual((await iq.send()).xml.find(".//{urn:example:note}note").text, value)

    async def test_client_state(self):
        self.romeo.plugin["xep_0352"].send_inactive()
        body = text("wake up")
        self.juliet.send_message(ROMEO, body, mtype="chat")
        await self.romeo.gets_message(body=body)
        self.romeo.plugin["xep_0352"].send_active()

    async def test_an_unknown_request_is_answered(self):
        iq = self.romeo.make_iq_get(ito=READY["domain"])
        ET.SubElement(iq.xml, "{urn:example:nothing}query")
        with self.assertRaises(IqError) as e:
            await iq.send()
        self.assertEqual(e.exception.condition, "service-unavailable")


if __name__ == "__main__":
    unittest.main()
