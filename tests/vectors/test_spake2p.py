"""SPAKE2+ on P-256 against the vectors of draft-bar-cfrg-spake2plus-02, and w0 of Matter's well-known passcode."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from evse_pi.matter.channel import spake2p
from evse_pi.matter.channel.pase import PaseVerifier

CONTEXT = b"SPAKE2+-P256-SHA256-HKDF draft-01"
W0 = bytes.fromhex("e6887cf9bdfb7579c69bf47928a84514b5e355ac034863f7ffaf4390e67d798c")
W1 = bytes.fromhex("24b5ae4abda868ec9336ffc3b78ee31c5755bef1759227ef5372ca139b94e512")
L = bytes.fromhex(
    "0495645cfb74df6e58f9748bb83a86620bab7c82e107f57d6870da8cbcb2ff9f70"
    "63a14b6402c62f99afcb9706a4d1a143273259fe76f1c605a3639745a92154b9"
)


@dataclass(frozen=True)
class Vector:
    x: str
    prover_share: str
    y: str
    verifier_share: str
    z: str
    v: str


VECTORS = {
    "client and server": Vector(
        x="8b0f3f383905cf3a3bb955ef8fb62e24849dd349a05ca79aafb18041d30cbdb6",
        prover_share="04af09987a593d3bac8694b123839422c3cc87e37d6b41c1d630f000dd64980e53"
        "7ae704bcede04ea3bec9b7475b32fa2ca3b684be14d11645e38ea6609eb39e7e",
        y="2e0895b0e763d6d5a9564433e64ac3cac74ff897f6c3445247ba1bab40082a91",
        verifier_share="04417592620aebf9fd203616bbb9f121b730c258b286f890c5f19fea833a9c900c"
        "be9057bc549a3e19975be9927f0e7614f08d1f0a108eede5fd7eb5624584a4f4",
        z="0471a35282d2026f36bf3ceb38fcf87e3112a4452f46e9f7b47fd769cfb570145b"
        "62589c76b7aa1eb6080a832e5332c36898426912e29c40ef9e9c742eee82bf30",
        v="046718981bf15bc4db538fc1f1c1d058cb0eececf1dbe1b1ea08a4e25275d382e8"
        "2b348c8131d8ed669d169c2e03a858db7cf6ca2853a4071251a39fbe8cfc39bc",
    ),
    "client only": Vector(
        x="ec82d9258337f61239c9cd68e8e532a3a6b83d12d2b1ca5d543f44def17dfb8d",
        prover_share="04230779960824076d3666a7418e4d433e2fa15b06176eabdd572f43a32ecc79a1"
        "92b243d2624310a7356273b86e5fd9bd627d3ade762baeff1a320d4ad7a4e47f",
        y="eac3f7de4b198d5fe25c443c0cd4963807add767815dd02a6f0133b4bc2c9eb0",
        verifier_share="044558642e71b616b248c9583bd6d7aa1b3952c6df6a9f7492a06035ca5d92522d"
        "84443de7aa20a59380fa4de6b7438d925dbfb7f1cfe60d79acf961ee33988c7d",
        z="04b4e8770f19f58ddf83f9220c3a9305792665e0c60989e6ee9d7fa449c775d639"
        "5f6f25f307e3903ac045a013fbb5a676e872a6abfcf4d7bb5aac69efd6140eed",
        v="04141db83bc7d96f41b636622e7a5c552ad83211ff55319ac25ed0a09f0818bd94"
        "2e8150319bfbfa686183806dc61911183f6a0f5956156023d96e0f93d275bf50",
    ),
    "server only": Vector(
        x="ba0f0f5b78ef23fd07868e46aeca63b51fda519a3420501acbe23d53c2918748",
        prover_share="04c14d28f4370fea20745106cea58bcfb60f2949fa4e131b9aff5ea13fd5aa79d5"
        "07ae1d229e447e000f15eb78a9a32c2b88652e3411642043c1b2b7992cf2d4de",
        y="39397fbe6db47e9fbd1a263d79f5d0aaa44df26ce755f78e092644b434533a42",
        verifier_share="04d1bee3120fd87e86fe189cb952dc688823080e62524dd2c08dffe3d22a0a8986"
        "aa64c9fe0191033cafbc9bcaefc8e2ba8ba860cd127af9efdd7f1c3a41920fe8",
        z="04aac71cf4c8df8181b867c9ecbee9d0963caf51f1534a823429c26fe5248313ff"
        "c5c5e44ea8162161ab6b3d73b87704a45889bf6343d96fa96cd1641efa71607c",
        v="04c7c9505365f7ce57293c92a37f1bbdc68e0322901e61edef59fee7876b17b063e0"
        "fa4a126eae0a671b37f1464cf1ccad591c33ae944e3b1f318d76e36fea9966",
    ),
    "no identities, as in Matter": Vector(
        x="5b478619804f4938d361fbba3a20648725222f0a54cc4c876139efe7d9a21786",
        prover_share="04a6db23d001723fb01fcfc9d08746c3c2a0a3feff8635d29cad2853e735862342"
        "5cf39712e928054561ba71e2dc11f300f1760e71eb177021a8f85e78689071cd",
        y="766770dad8c8eecba936823c0aed044b8c3c4f7655e8beec44a15dcbcaf78e5e",
        verifier_share="04390d29bf185c3abf99f150ae7c13388c82b6be0c07b1b8d90d26853e84374bbd"
        "c82becdb978ca3792f472424106a2578012752c11938fcf60a41df75ff7cf947",
        z="040a150d9a62f514c9a1fedd782a0240a342721046cefb1111c3adb3be893ce9fc"
        "d2ffa137922fcf8a588d0f76ba9c55c85da2af3f1c789ca17976810387fb1d7e",
        v="04f8e247cc263a1846272f5a3b61b68aa60a5a2665d10cd22c89cd6bad05dc0e5e"
        "650f21ff017186cc92651a4cd7e66ce88f529299f340ea80fb90a9bad094e1a6",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_shares_and_shared_points_are_those_of_the_draft(name: str) -> None:
    vector = VECTORS[name]
    w0, x, y = int.from_bytes(W0), int(vector.x, 16), int(vector.y, 16)
    m, n = spake2p.decode_point(spake2p.M_OCTETS), spake2p.decode_point(spake2p.N_OCTETS)
    share_p = spake2p.multiply(spake2p.generator(), x) + spake2p.multiply(m, w0)
    share_v = spake2p.multiply(spake2p.generator(), y) + spake2p.multiply(n, w0)
    z = spake2p.multiply(share_p + -spake2p.multiply(m, w0), y)
    v = spake2p.multiply(spake2p.decode_point(L), y)
    found = [spake2p.encode_point(point).hex() for point in (share_p, share_v, z, v)]
    assert found == [vector.prover_share, vector.verifier_share, vector.z, vector.v]


@pytest.mark.parametrize("name", VECTORS)
def test_the_verifier_answers_with_the_share_of_the_draft(name: str) -> None:
    vector = VECTORS[name]
    agreement = spake2p.Verifier(W0, L).respond(CONTEXT, bytes.fromhex(vector.prover_share), int(vector.y, 16))
    assert agreement.share.hex() == vector.verifier_share


def test_the_keys_without_identities_are_those_of_the_draft() -> None:
    vector = VECTORS["no identities, as in Matter"]
    agreement = spake2p.Verifier(W0, L).respond(CONTEXT, bytes.fromhex(vector.prover_share), int(vector.y, 16))
    assert agreement.keys.shared_key.hex() == "ea3276d68334576097e04b19ee5a3a8b"
    confirmations = agreement.keys.prover_confirmation.hex(), agreement.keys.verifier_confirmation.hex()
    assert confirmations == (
        "71d9412779b6c45a2c615c9df3f1fd93dc0aaf63104da8ece4aa1b5a3a415fea",
        "095dc0400355cc233fde7437811815b3c1524aae80fd4e6810cf531cf11d20e3",
    )


def test_l_is_w1_times_the_generator() -> None:
    assert spake2p.encode_point(spake2p.multiply(spake2p.generator(), int.from_bytes(W1))) == L


def test_the_verifier_of_matters_well_known_passcode() -> None:
    verifier = PaseVerifier.from_passcode(20202021, b"SPAKE2P Key Salt", 1000)
    assert verifier.w0.hex() == "b96170aae803346884724fe9a3b287c30330c2a660375d17bb205a8cf1aecb35"
    assert PaseVerifier.from_blob(verifier.w0 + verifier.l, b"SPAKE2P Key Salt", 1000) == verifier
