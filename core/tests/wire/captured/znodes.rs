//! About single znodes.

use queenright_core::wire::{
    Acl, AuthId, Check, CreateForm, Delete, ErrorCode, MultiRequest, MultiResult, Permissions, Read, Request,
    Response, SetData,
};

use super::{create, exchange, stat, texts};

#[test]
fn creates_in_all_four_forms() {
    exchange(
        "0000000100000001000000022f61000000036f6e65000000010000001f00000005776f726c6400000006616e796f6e6500000000",
        1,
        Request::Create(create(
            CreateForm::Create,
            "/a",
            Some(b"one"),
            Acl::new(Permissions(31), "world", "anyone"),
            0,
        )),
        "00000001000000000000000200000000000000022f61",
        2,
        Ok(Response::Create { path: "/a".into() }),
    );
    exchange(
        "000000020000000f000000052f6e756c6cffffffff000000010000001f00000005776f726c6400000006616e796f6e6500000001",
        2,
        Request::Create(create(
            CreateForm::Create2,
            "/null",
            None,
            Acl::new(Permissions(31), "world", "anyone"),
            1,
        )),
        "00000002000000000000000300000000000000052f6e756c6c00000000000000030000000000000003000001a213b88267000001a213b882670000000000000000000000000100004cc74d000000000000000000000000000000000003",
        3,
        Ok(Response::Create2 {
            path: "/null".into(),
            stat: stat(
                [3, 3, 1795627188839, 1795627188839],
                [0, 0, 0],
                0x100004cc74d0000_u64 as i64,
                [0, 0],
                3,
            ),
        }),
    );
    exchange(
        "00000003000000130000000a2f636f6e7461696e657200000000000000010000001f00000005776f726c6400000006616e796f6e6500000004",
        3,
        Request::Create(create(
            CreateForm::Container,
            "/container",
            Some(b""),
            Acl::new(Permissions(31), "world", "anyone"),
            4,
        )),
        "000000030000000000000004000000000000000a2f636f6e7461696e657200000000000000040000000000000004000001a213b882a1000001a213b882a1000000000000000000000000000000000000000000000000000000000000000000000004",
        4,
        Ok(Response::Create2 {
            path: "/container".into(),
            stat: stat([4, 4, 1795627188897, 1795627188897], [0, 0, 0], 0, [0, 0], 4),
        }),
    );
    exchange(
        "0000000400000015000000042f74746c0000000178000000010000001f00000005776f726c6400000006616e796f6e6500000005000000000036ee80",
        4,
        Request::Create(create(
            CreateForm::Ttl { ttl: 3600000 },
            "/ttl",
            Some(b"x"),
            Acl::new(Permissions(31), "world", "anyone"),
            5,
        )),
        "00000004000000000000000500000000000000042f74746c00000000000000050000000000000005000001a213b882b3000001a213b882b3000000000000000000000000000000000000000000000001000000000000000000000005",
        5,
        Ok(Response::Create2 {
            path: "/ttl".into(),
            stat: stat([5, 5, 1795627188915, 1795627188915], [0, 0, 0], 0, [1, 0], 5),
        }),
    );
    exchange(
        "0000000500000001000000052f612f732d00000000000000010000001f00000005776f726c6400000006616e796f6e6500000003",
        5,
        Request::Create(create(
            CreateForm::Create,
            "/a/s-",
            Some(b""),
            Acl::new(Permissions(31), "world", "anyone"),
            3,
        )),
        "000000050000000000000006000000000000000f2f612f732d30303030303030303030",
        6,
        Ok(Response::Create { path: "/a/s-0000000000".into() }),
    );
    exchange(
        "0000000600000001000000022f6100000000000000010000001f00000005776f726c6400000006616e796f6e6500000000",
        6,
        Request::Create(create(
            CreateForm::Create,
            "/a",
            Some(b""),
            Acl::new(Permissions(31), "world", "anyone"),
            0,
        )),
        "000000060000000000000007ffffff92",
        7,
        Err(ErrorCode(-110)),
    );
    exchange(
        "000000150000000e0000000100ffffffff000000042f612f6d00000000000000010000001f00000005776f726c6400000006616e796f6e65000000000000001500ffffffff000000042f612f7400000000000000010000001f00000005776f726c6400000006616e796f6e6500000005000000000036ee800000000500ffffffff000000042f612f6d000000017a000000000000000d00ffffffff000000022f61ffffffff0000000200ffffffff000000042f612f6d00000001ffffffff01ffffffff",
        21,
        Request::Multi(vec![
            MultiRequest::Create(create(
                CreateForm::Create,
                "/a/m",
                Some(b""),
                Acl::new(Permissions(31), "world", "anyone"),
                0,
            )),
            MultiRequest::Create(create(
                CreateForm::Ttl { ttl: 3600000 },
                "/a/t",
                Some(b""),
                Acl::new(Permissions(31), "world", "anyone"),
                5,
            )),
            MultiRequest::SetData(SetData { path: "/a/m".into(), data: Some(b"z".to_vec()), version: 0 }),
            MultiRequest::Check(Check { path: "/a".into(), version: -1 }),
            MultiRequest::Delete(Delete { path: "/a/m".into(), version: 1 }),
        ]),
        "00000015000000000000000b00000000000000010000000000000000042f612f6d0000000f0000000000000000042f612f74000000000000000b000000000000000b000001a213b88384000001a213b8838400000000000000000000000000000000000000000000000000000000000000000000000b000000050000000000000000000000000b000000000000000b000001a213b88384000001a213b8838400000001000000000000000000000000000000000000000100000000000000000000000b0000000d0000000000000000020000000000ffffffff01ffffffff",
        11,
        Ok(Response::Multi(vec![
            MultiResult::Create { path: "/a/m".into() },
            MultiResult::Create2 {
                path: "/a/t".into(),
                stat: stat([11, 11, 1795627189124, 1795627189124], [0, 0, 0], 0, [0, 0], 11),
            },
            MultiResult::SetData {
                stat: stat([11, 11, 1795627189124, 1795627189124], [1, 0, 0], 0, [1, 0], 11),
            },
            MultiResult::Check,
            MultiResult::Delete,
        ])),
    );
    exchange(
        "0000001c00000001000000022f7000000000000000010000001f00000005776f726c6400000006616e796f6e6500000002",
        28,
        Request::Create(create(
            CreateForm::Create,
            "/p",
            Some(b""),
            Acl::new(Permissions(31), "world", "anyone"),
            2,
        )),
        "0000001c000000000000000f000000000000000c2f7030303030303030303034",
        15,
        Ok(Response::Create { path: "/p0000000004".into() }),
    );
}

#[test]
fn reads() {
    exchange(
        "0000000700000003000000022f6101",
        7,
        Request::Exists(Read { path: "/a".into(), watch: true }),
        "0000000700000000000000070000000000000000000000020000000000000002000001a213b881bd000001a213b881bd000000000000000100000000000000000000000000000003000000010000000000000006",
        7,
        Ok(Response::Exists { stat: stat([2, 2, 1795627188669, 1795627188669], [0, 1, 0], 0, [3, 1], 6) }),
    );
    exchange(
        "0000000800000003000000032f6e6f00",
        8,
        Request::Exists(Read { path: "/no".into(), watch: false }),
        "000000080000000000000007ffffff9b",
        7,
        Err(ErrorCode(-101)),
    );
    exchange(
        "0000000900000004000000022f6100",
        9,
        Request::GetData(Read { path: "/a".into(), watch: false }),
        "00000009000000000000000700000000000000036f6e6500000000000000020000000000000002000001a213b881bd000001a213b881bd000000000000000100000000000000000000000000000003000000010000000000000006",
        7,
        Ok(Response::GetData {
            data: Some(b"one".to_vec()),
            stat: stat([2, 2, 1795627188669, 1795627188669], [0, 1, 0], 0, [3, 1], 6),
        }),
    );
    exchange(
        "0000000a00000004000000052f6e756c6c00",
        10,
        Request::GetData(Read { path: "/null".into(), watch: false }),
        "0000000a000000000000000700000000ffffffff00000000000000030000000000000003000001a213b88267000001a213b882670000000000000000000000000100004cc74d000000000000000000000000000000000003",
        7,
        Ok(Response::GetData {
            data: None,
            stat: stat(
                [3, 3, 1795627188839, 1795627188839],
                [0, 0, 0],
                0x100004cc74d0000_u64 as i64,
                [0, 0],
                3,
            ),
        }),
    );
    exchange(
        "0000001100000008000000022f6101",
        17,
        Request::GetChildren(Read { path: "/a".into(), watch: true }),
        "00000011000000000000000a00000000000000010000000c732d30303030303030303030",
        10,
        Ok(Response::GetChildren { children: texts(&["s-0000000000"]) }),
    );
    exchange(
        "000000120000000c0000000a2f7a6f6f6b656570657200",
        18,
        Request::GetChildren2(Read { path: "/zookeeper".into(), watch: false }),
        "00000012000000000000000a000000000000000200000006636f6e6669670000000571756f7461000000000000000000000000000000000000000000000000000000000000000000000000fffffffe00000000000000000000000000000000000000020000000000000000",
        10,
        Ok(Response::GetChildren2 {
            children: texts(&["config", "quota"]),
            stat: stat([0, 0, 0, 0], [0, -2, 0], 0, [0, 2], 0),
        }),
    );
    exchange(
        "0000001300000009000000022f61",
        19,
        Request::Sync { path: "/a".into() },
        "00000013000000000000000a00000000000000022f61",
        10,
        Ok(Response::Sync { path: "/a".into() }),
    );
    exchange(
        "fffffffe0000000b",
        -2,
        Request::Ping,
        "fffffffe000000000000000a00000000",
        10,
        Ok(Response::Ping),
    );
    exchange(
        "000000220000006700000000",
        34,
        Request::GetEphemerals { prefix: "".into() },
        "00000022000000000000000f0000000000000002000000052f6e756c6c0000000f2f612f732d30303030303030303030",
        15,
        Ok(Response::GetEphemerals { paths: texts(&["/null", "/a/s-0000000000"]) }),
    );
    exchange(
        "0000002300000068000000022f61",
        35,
        Request::GetAllChildrenNumber { path: "/a".into() },
        "00000023000000000000000f0000000000000002",
        15,
        Ok(Response::GetAllChildrenNumber { count: 2 }),
    );
}

#[test]
fn writes() {
    exchange(
        "0000000b00000005000000022f610000000374776f00000000",
        11,
        Request::SetData(SetData { path: "/a".into(), data: Some(b"two".to_vec()), version: 0 }),
        "0000000b00000000000000080000000000000000000000020000000000000008000001a213b881bd000001a213b8830e000000010000000100000000000000000000000000000003000000010000000000000006",
        8,
        Ok(Response::SetData { stat: stat([2, 8, 1795627188669, 1795627189006], [1, 1, 0], 0, [3, 1], 6) }),
    );
    exchange(
        "0000000c00000005000000022f610000000374776f00000007",
        12,
        Request::SetData(SetData { path: "/a".into(), data: Some(b"two".to_vec()), version: 7 }),
        "0000000c0000000000000009ffffff99",
        9,
        Err(ErrorCode(-103)),
    );
    exchange(
        "000000160000000e0000000d00ffffffff000000022f61ffffffff0000000200ffffffff000000032f6e6fffffffff0000000d00ffffffff000000022f61ffffffffffffffff01ffffffff",
        22,
        Request::Multi(vec![
            MultiRequest::Check(Check { path: "/a".into(), version: -1 }),
            MultiRequest::Delete(Delete { path: "/no".into(), version: -1 }),
            MultiRequest::Check(Check { path: "/a".into(), version: -1 }),
        ]),
        "00000016000000000000000c00000000ffffffff000000000000000000ffffffff00ffffff9bffffff9bffffffff00fffffffefffffffeffffffff01ffffffff",
        12,
        Ok(Response::Multi(vec![
            MultiResult::Error(ErrorCode(0)),
            MultiResult::Error(ErrorCode(-101)),
            MultiResult::Error(ErrorCode(-2)),
        ])),
    );
    exchange(
        "0000002500000002000000042f74746cffffffff",
        37,
        Request::Delete(Delete { path: "/ttl".into(), version: -1 }),
        "00000025000000000000001000000000",
        16,
        Ok(Response::Delete),
    );
    exchange(
        "0000002600000002000000022f61ffffffff",
        38,
        Request::Delete(Delete { path: "/a".into(), version: -1 }),
        "000000260000000000000011ffffff91",
        17,
        Err(ErrorCode(-111)),
    );
}

#[test]
fn access_control() {
    exchange(
        "0000000d00000006000000022f61",
        13,
        Request::GetAcl { path: "/a".into() },
        "0000000d000000000000000900000000000000010000001f00000005776f726c6400000006616e796f6e6500000000000000020000000000000008000001a213b881bd000001a213b8830e000000010000000100000000000000000000000000000003000000010000000000000006",
        9,
        Ok(Response::GetAcl {
            acl: vec![Acl::new(Permissions(31), "world", "anyone")],
            stat: stat([2, 8, 1795627188669, 1795627189006], [1, 1, 0], 0, [3, 1], 6),
        }),
    );
    exchange(
        "fffffffc000000640000000000000006646967657374000000096d653a736563726574",
        -4,
        Request::Auth { scheme: "digest".into(), auth: Some(b"me:secret".to_vec()) },
        "fffffffc000000000000000000000000",
        0,
        Ok(Response::Auth),
    );
    exchange(
        "0000000f00000007000000022f61000000020000001f0000000461757468000000000000000100000005776f726c6400000006616e796f6e65ffffffff",
        15,
        Request::SetAcl {
            path: "/a".into(),
            acl: Some(vec![Acl::creator_all(), Acl::new(Permissions::READ, "world", "anyone")]),
            version: -1,
        },
        "0000000f000000000000000a0000000000000000000000020000000000000008000001a213b881bd000001a213b8830e000000010000000100000001000000000000000000000003000000010000000000000006",
        10,
        Ok(Response::SetAcl { stat: stat([2, 8, 1795627188669, 1795627189006], [1, 1, 1], 0, [3, 1], 6) }),
    );
    exchange(
        "0000001000000006000000022f61",
        16,
        Request::GetAcl { path: "/a".into() },
        "00000010000000000000000a00000000000000020000001f000000066469676573740000001f6d653a303136646a6a6c6b7356515335526758334d3762694247795977593d0000000100000005776f726c6400000006616e796f6e6500000000000000020000000000000008000001a213b881bd000001a213b8830e000000010000000100000001000000000000000000000003000000010000000000000006",
        10,
        Ok(Response::GetAcl {
            acl: vec![
                Acl::new(Permissions(31), "digest", "me:016djjlksVQS5RgX3M7biBGyYwY="),
                Acl::new(Permissions(1), "world", "anyone"),
            ],
            stat: stat([2, 8, 1795627188669, 1795627189006], [1, 1, 1], 0, [3, 1], 6),
        }),
    );
    exchange(
        "000000240000006b",
        36,
        Request::WhoAmI,
        "00000024000000000000000f000000000000000200000006646967657374000000026d65000000026970000000093132372e302e302e31",
        15,
        Ok(Response::WhoAmI {
            identities: vec![AuthId::new("digest", "me"), AuthId::new("ip", "127.0.0.1")],
        }),
    );
}
