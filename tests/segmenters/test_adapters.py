"""Foreign networks compute through their adapters what their own libraries compute."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from torch.nn import functional

import roadanomaly
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import (
    ClassesError,
    DataError,
    FeatureError,
    MissingExtra,
    OptionError,
    UnknownName,
)
from roadanomaly.model import Model
from tests.contracts.tiny import (
    CLASSES,
    PIDNET,
    TRANSFORMERS,
    file_network,
    network,
    write_onnx,
    write_torchscript,
)


def images(*size, count=1):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def normalised(segmenter, image):
    return (image - segmenter.mean) / segmenter.std


class TestTorchvision:
    @pytest.mark.parametrize("kind", ["deeplabv3", "lraspp"])
    @torch.inference_mode()
    def test_logits_are_those_of_its_own_forward(self, kind):
        segmenter, image = network(f"torchvision {kind}"), images(64, 96, count=2)
        own = segmenter.network(normalised(segmenter, image))["out"]
        torch.testing.assert_close(segmenter(image).image_logits(), own)

    def test_its_own_files_load_with_an_auxiliary_head(self, tmp_path):
        import torchvision

        whole = torchvision.models.segmentation.deeplabv3_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=len(CLASSES), aux_loss=True
        ).eval()
        torch.save(whole.state_dict(), tmp_path / "a.pth")
        segmenter = roadanomaly.segmenter(
            "torchvision", classes=CLASSES, weights=str(tmp_path / "a.pth")
        ).eval()
        image = images(64, 64)
        own = whole(normalised(segmenter, image))["out"]
        torch.testing.assert_close(segmenter(image).image_logits(), own)

    def test_mistakes_name_what_there_is(self):
        with pytest.raises(OptionError, match="did you mean `fcn_resnet50`"):
            roadanomaly.segmenter("torchvision", architecture="fcn_resnet5")
        with pytest.raises(OptionError, match="no pretrained weights 'IMAGENET9'"):
            roadanomaly.segmenter("torchvision", encoder_weights="IMAGENET9")


class TestTransformers:
    @torch.inference_mode()
    def test_segformer_gives_its_own_logits(self):
        segmenter, image = network("transformers segformer"), images(64, 96, count=2)
        own = segmenter.network(normalised(segmenter, image)).logits
        torch.testing.assert_close(segmenter(image).logits, own)

    @torch.inference_mode()
    def test_upernet_gives_its_own_logits(self):
        segmenter, image = network("transformers upernet"), images(64, 96, count=2)
        own = segmenter.network(normalised(segmenter, image)).logits
        torch.testing.assert_close(segmenter(image).image_logits(), own)

    def test_a_head_that_serves_another_training_is_frozen(self):
        config = {"model_type": "upernet", **TRANSFORMERS["upernet"], "use_auxiliary_head": True}
        config |= {"auxiliary_channels": 8, "auxiliary_num_convs": 1}
        segmenter = roadanomaly.segmenter("transformers", config=config, classes=CLASSES)
        frozen = {key for key, one in segmenter.named_parameters() if not one.requires_grad}
        auxiliary = segmenter.network.auxiliary_head.named_parameters(
            prefix="network.auxiliary_head"
        )
        assert frozen == {key for key, _ in auxiliary}

    @pytest.mark.parametrize("kind", ["eomt", "mask2former"])
    @torch.inference_mode()
    def test_masks_are_its_own(self, kind):
        segmenter, image = network(f"transformers {kind}"), images(64, 64, count=2)
        own, found = segmenter.network(normalised(segmenter, image)), segmenter(image)
        torch.testing.assert_close(found.masks.classes, own.class_queries_logits)
        torch.testing.assert_close(found.masks.masks, own.masks_queries_logits)

    @torch.inference_mode()
    def test_evidence_of_mask2former_is_what_the_library_takes_the_classes_from(self):
        segmenter, image = network("transformers mask2former"), images(64, 64, count=2)
        own = segmenter.network(normalised(segmenter, image))
        processor = transformers.Mask2FormerImageProcessor()
        wanted = processor.post_process_semantic_segmentation(own)
        size = tuple(wanted[0].shape)  # the library enlarges the masks to 384x384 first
        found = replace(segmenter(image), size=size, padded=size)
        assert torch.equal(found.classes(), torch.stack(wanted))

    @torch.inference_mode()
    def test_a_dino_backbone_gives_its_last_block(self):
        segmenter, image = network("transformers dinov2"), images(56, 84, count=2)
        backbone = segmenter.network.backbone
        hidden = backbone(normalised(segmenter, image)).feature_maps[-1]
        found = segmenter(image, ["encoder14"])
        assert hidden.shape == (2, 16, 4, 6)
        torch.testing.assert_close(found.features["encoder14"], hidden)

    def test_a_frozen_backbone_stays_as_it_is(self):
        segmenter = network("transformers dinov3_vit").train()
        assert not segmenter.network.backbone.training
        assert not any(one.requires_grad for one in segmenter.network.backbone.parameters())
        config = {"model_type": "dinov3_vit", **TRANSFORMERS["dinov3_vit"]}
        free = roadanomaly.segmenter("transformers", config=config, freeze=False, head="conv")
        assert free.train().network.backbone.training
        frozen = [key for key, one in free.named_parameters() if not one.requires_grad]
        assert frozen == ["network.backbone.embeddings.mask_token"]  # of its pretraining
        assert free.features["decoder"].channels == 256

    def test_a_folder_that_the_library_wrote_loads_with_its_names_and_normalisation(self, tmp_path):
        original = network("transformers segformer")
        original.network.config.id2label = dict(enumerate(CLASSES))
        original.network.save_pretrained(tmp_path)
        known = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(known))
        segmenter = roadanomaly.segmenter("transformers", model=str(tmp_path)).eval()
        assert segmenter.classes == CLASSES
        assert segmenter.mean.flatten().tolist() == [0.5] * 3
        image = images(64, 64)
        own = original.network(normalised(segmenter, image)).logits
        torch.testing.assert_close(segmenter(image).logits, own)

    def test_a_backbone_loads_from_a_folder_without_asking_the_hub(self, tmp_path):
        config = transformers.Dinov2Config(**TRANSFORMERS["dinov2"])
        whole = transformers.Dinov2Model(config).eval()
        whole.save_pretrained(tmp_path)
        segmenter = roadanomaly.segmenter("transformers", model=str(tmp_path)).eval()
        assert segmenter.classes == CITYSCAPES
        image = images(56, 84)
        with torch.inference_mode():
            own = whole(normalised(segmenter, image)).last_hidden_state[:, 1:]
            found = segmenter(image, ["encoder14"]).features["encoder14"]
        torch.testing.assert_close(found.flatten(2).mT, own)

    def test_a_backbone_whose_weights_are_broken_or_missing_is_named(self, tmp_path):
        transformers.Dinov2Model(
            transformers.Dinov2Config(**TRANSFORMERS["dinov2"])
        ).save_pretrained(tmp_path)
        weights = tmp_path / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(DataError, match=r"cannot be loaded .*header.*Give a folder"):
            roadanomaly.segmenter("transformers", model=str(tmp_path))
        weights.unlink()
        with pytest.raises(DataError, match=r"cannot be loaded .*no file named.*Give a folder"):
            roadanomaly.segmenter("transformers", model=str(tmp_path))

    def test_other_classes_need_a_new_classifier(self, tmp_path):
        network("transformers segformer").network.save_pretrained(tmp_path)
        options = {"model": str(tmp_path), "classes": ("road", "sky")}
        with pytest.raises(ClassesError, match="knows 5 classes and 2 were given"):
            roadanomaly.segmenter("transformers", **options)
        segmenter = roadanomaly.segmenter("transformers", **options, new_classifier=True)
        assert segmenter(images(32, 32)).logits.shape[1] == 2

    def test_mistakes_name_what_there_is(self, tmp_path):
        with pytest.raises(UnknownName, match="did you mean `segformer`"):
            roadanomaly.segmenter("transformers", config={"model_type": "segformr"})
        with pytest.raises(DataError, match=r"cannot be loaded.*Give a folder"):
            roadanomaly.segmenter("transformers", model=str(tmp_path / "none"))
        config = {"model_type": "segformer", "depths": "many"}
        with pytest.raises(OptionError, match="transformers refuses the config of segformer"):
            roadanomaly.segmenter("transformers", config=config)


class TestMmseg:
    @torch.inference_mode()
    def test_logits_are_those_of_its_own_forward(self):
        segmenter, image = network("mmseg"), images(64, 96, count=2)
        metas = [{"img_shape": (64, 96)}] * 2
        own = segmenter.network.encode_decode(normalised(segmenter, image), metas)
        torch.testing.assert_close(segmenter(image).image_logits(), own)

    def test_its_training_outputs_stay_inside(self):
        segmenter = network("mmseg").train()
        assert segmenter(images(64, 96, count=2)).logits.shape == (2, len(CLASSES), 8, 12)
        assert segmenter.network.backbone.training
        assert segmenter.network.decode_head.training

    def test_a_packaged_config_brings_its_normalisation(self):
        segmenter = roadanomaly.segmenter("mmseg")
        np.testing.assert_allclose(
            segmenter.mean.flatten() * 255, [123.675, 116.28, 103.53], rtol=1e-5
        )
        assert sum(one.numel() for one in segmenter.parameters()) > 7e6

    def test_a_config_file_of_the_user_and_a_checkpoint_load(self, tmp_path):
        from mmengine.logging import HistoryBuffer

        config = tmp_path / "mine.py"
        prepared = {"mean": [10.0, 20.0, 30.0], "std": [1.0, 2.0, 3.0], "bgr_to_rgb": False}
        config.write_text(f"model = {PIDNET!r}\ndata_preprocessor = {prepared!r}\n")
        first = roadanomaly.segmenter("mmseg", config=str(config), classes=CLASSES).eval()
        assert first.bgr
        np.testing.assert_allclose(first.mean.flatten() * 255, [30, 20, 10], rtol=1e-5)
        history = HistoryBuffer()
        history.update(1.5)
        state = {**first.network.state_dict(), "auxiliary_head.conv.weight": torch.zeros(1)}
        content = {"state_dict": state, "meta": {"epoch": 1}, "message_hub": {"loss": history}}
        torch.save(content, tmp_path / "iter.pth")
        weights = str(tmp_path / "iter.pth")
        again = roadanomaly.segmenter(
            "mmseg", config=str(config), classes=CLASSES, weights=weights
        ).eval()
        image = images(64, 64)
        assert torch.equal(again(image).logits, first(image).logits)
        flipped = first.network.encode_decode(
            normalised(first, image).flip(1), [{"img_shape": (64, 64)}]
        )
        torch.testing.assert_close(first(image).image_logits(), flipped)

    def test_an_operation_that_mmcv_lite_lacks_is_named(self):
        with pytest.raises(MissingExtra, match="compiled operation CrissCrossAttention"):
            roadanomaly.segmenter("mmseg", config="ccnet_r50-d8_4xb2-40k_cityscapes-512x1024")

    def test_mistakes_name_what_there_is(self, tmp_path):
        with pytest.raises(UnknownName, match="did you mean `pidnet-s_2xb6-120k_1024x1024-citysc"):
            roadanomaly.segmenter("mmseg", config="pidnet-s_2xb6-120k_1024x1024-cityscape")
        with pytest.raises(DataError, match="no config file"):
            roadanomaly.segmenter("mmseg", config=str(tmp_path / "none.py"))
        (tmp_path / "broken.py").write_text("model = dict(type='EncoderDecoder'\n")
        with pytest.raises(OptionError, match="cannot be read as one of mmsegmentation 1"):
            roadanomaly.segmenter("mmseg", config=str(tmp_path / "broken.py"))
        config = {"type": "EncoderDecoder", "decode_head": {"type": "NoHead"}}
        with pytest.raises(OptionError, match="cannot build this model"):
            roadanomaly.segmenter("mmseg", config=config)


class TestFiles:
    """ONNX and TorchScript: the same convolution, computed by three libraries."""

    @pytest.fixture
    def convolution(self):
        torch.manual_seed(0)
        return torch.nn.Conv2d(3, len(CLASSES), 3, stride=2, padding=1).eval()

    @pytest.mark.parametrize("name", ["onnx", "torchscript"])
    @torch.inference_mode()
    def test_logits_are_the_networks(self, name, convolution):
        segmenter, image = network(name), images(48, 64, count=2)
        own = convolution(normalised(segmenter, image))
        torch.testing.assert_close(segmenter(image).logits, own, rtol=1e-4, atol=1e-5)

    @torch.inference_mode()
    def test_a_network_of_one_size_and_one_image_has_images_resized(self, convolution, tmp_path):
        write_onnx(tmp_path / "fixed.onnx", convolution, (32, 64), batch=1)
        segmenter = roadanomaly.segmenter(
            "onnx", file=str(tmp_path / "fixed.onnx"), classes=CLASSES
        ).eval()
        assert segmenter.input_size == (32, 64)
        image = images(45, 70, count=3)
        resized = functional.interpolate(
            normalised(segmenter, image), size=(32, 64), mode="bilinear"
        )
        own = functional.interpolate(convolution(resized), size=(45, 70), mode="bilinear")
        torch.testing.assert_close(segmenter(image).image_logits(), own, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("count", [1, 2, 3])
    @torch.inference_mode()
    def test_a_network_of_one_batch_gets_its_batches(self, convolution, tmp_path, count):
        write_onnx(tmp_path / "two.onnx", convolution, batch=2)
        segmenter = roadanomaly.segmenter(
            "onnx", file=str(tmp_path / "two.onnx"), classes=CLASSES
        ).eval()
        image = images(32, 64, count=count)
        own = convolution(normalised(segmenter, image))
        torch.testing.assert_close(segmenter(image).logits, own, rtol=1e-4, atol=1e-5)

    @torch.inference_mode()
    def test_a_network_in_half_precision_is_given_halves(self, convolution, tmp_path):
        write_onnx(tmp_path / "half.onnx", copy.deepcopy(convolution).half())
        segmenter = roadanomaly.segmenter(
            "onnx", file=str(tmp_path / "half.onnx"), classes=CLASSES
        ).eval()
        image = images(32, 64)
        own = convolution(normalised(segmenter, image))
        found = segmenter(image).logits
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, own, rtol=1e-2, atol=1e-2)

    @pytest.mark.parametrize(
        ("kind", "shape"),
        [
            ("FLOAT", (1, 64, 96, 3)),
            ("FLOAT", (1, 4, 64, 96)),
            ("FLOAT", (1, 3, 64, "W")),
            ("FLOAT", (3, 64, 96)),
            ("UINT8", (1, 3, 64, 96)),
        ],
    )
    def test_what_takes_no_images_is_refused_with_what_it_takes(self, kind, shape, tmp_path):
        from onnx import TensorProto, helper, save_model

        kind = getattr(TensorProto, kind)
        ends = [helper.make_tensor_value_info(name, kind, shape) for name in ("a", "b")]
        node = helper.make_node("Identity", ["a"], ["b"])
        graph = helper.make_graph([node], "network", ends[:1], ends[1:])
        opset = [helper.make_opsetid("", 17)]
        path = tmp_path / "other.onnx"
        save_model(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
        with pytest.raises(
            DataError, match=rf"takes a: tensor.*{re.escape(str(list(shape)))}.*\(B, 3"
        ):
            roadanomaly.segmenter("onnx", file=str(path), classes=CLASSES)

    def test_a_network_that_fails_on_a_size_says_on_which(self, tmp_path):
        from onnx import TensorProto, helper, numpy_helper, save_model

        image, scores = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ("B", 3, "H", "W"))
            for name in ("image", "scores")
        )
        added = numpy_helper.from_array(np.zeros((1, 3, 64, 64), np.float32), "added")
        node = helper.make_node("Add", ["image", "added"], ["scores"])
        graph = helper.make_graph([node], "network", [image], [scores], [added])
        opset = [helper.make_opsetid("", 17)]
        save_model(
            helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "one.onnx"
        )
        segmenter = roadanomaly.segmenter(
            "onnx", file=str(tmp_path / "one.onnx"), classes=("road", "car", "sky")
        )
        assert segmenter(images(64, 64)).logits.shape == (1, 3, 64, 64)
        with pytest.raises(DataError, match=r"one\.onnx on images \(1, 3, 32, 96\): .*Add"):
            segmenter(images(32, 96))

    @pytest.mark.parametrize("name", ["onnx", "torchscript"])
    def test_a_saved_model_knows_its_file_again(self, name, convolution, tmp_path):
        path = tmp_path / f"net.{name}"
        write = write_onnx if name == "onnx" else write_torchscript
        write(path, convolution)
        segmenter = roadanomaly.segmenter(name, file=str(path), classes=CLASSES)
        model = Model(segmenter, roadanomaly.detector("energy"))
        model.save(tmp_path / "model")
        image = images(45, 70)
        assert torch.equal(
            roadanomaly.load(tmp_path / "model").score(image)[0], model.score(image)[0]
        )
        write(path, torch.nn.Conv2d(3, len(CLASSES), 3, stride=2, padding=1))
        with pytest.raises(DataError, match="was changed since the model was saved"):
            roadanomaly.load(tmp_path / "model")
        path.unlink()
        with pytest.raises(DataError, match="no weight file"):
            roadanomaly.load(tmp_path / "model")

    @pytest.mark.parametrize("name", ["onnx", "torchscript"])
    def test_other_answers_are_refused(self, name, tmp_path):
        options = file_network("onnx" if name == "onnx" else "pt")
        segmenter = roadanomaly.segmenter(name, **options, classes=("road", "sky"))
        with pytest.raises(DataError, match=r"answers \(1, 5, 16, 16\), and not logits \(B, 2"):
            segmenter(images(32, 32))
        (tmp_path / "text").write_text("not a network")
        with pytest.raises(DataError, match=str(tmp_path / "text")):
            roadanomaly.segmenter(name, file=str(tmp_path / "text"))

    def test_a_torchscript_file_is_read_without_warnings(self, convolution, tmp_path, recwarn):
        write_torchscript(tmp_path / "net.pt", convolution)
        recwarn.clear()
        roadanomaly.segmenter("torchscript", file=str(tmp_path / "net.pt"), classes=CLASSES)
        assert not recwarn.list

    @pytest.mark.parametrize("name", ["onnx", "torchscript"])
    def test_a_copy_works_and_features_are_refused(self, name):
        segmenter, image = network(name), images(32, 32)
        assert torch.equal(copy.deepcopy(segmenter)(image).logits, segmenter(image).logits)
        with pytest.raises(FeatureError, match="offers no features: take a detector that reads"):
            Model(segmenter, roadanomaly.detector("mahalanobis"))

    def test_an_unknown_output_names_the_nearest(self):
        with pytest.raises(OptionError, match="did you mean `scores`"):
            roadanomaly.segmenter("onnx", **file_network("onnx"), output="score")
