"""Amazon Bedrock's Converse API, which is one dialect for the models of many vendors.

Source: the Amazon Bedrock API reference, "Converse" and "ConverseStream", as the model
`bedrock-runtime` of botocore has it.
"""

from llm_proxy.wire.bedrock.converse import BedrockConverse

__all__ = ["BedrockConverse"]
